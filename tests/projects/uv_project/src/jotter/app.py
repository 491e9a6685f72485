from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Depends, FastAPI, Header, HTTPException
from sqlalchemy import select

from jotter.settings import settings
from jotter.store import Base, Note, Session, engine

WELCOME = ["welcome", "markdown", "shortcuts", "privacy"]


@asynccontextmanager
async def lifespan(app: FastAPI):
    Base.metadata.create_all(engine)
    with Session.begin() as session:
        if session.scalar(select(Note).limit(1)) is None:
            session.add_all(Note(slug=slug, text=f"About {slug}. " * 20) for slug in WELCOME)
    yield


def is_admin(x_token: Annotated[str, Header()] = ""):
    if x_token != settings.admin_token:
        raise HTTPException(401)


def create_app() -> FastAPI:
    app = FastAPI(title="jotter", lifespan=lifespan)

    @app.get("/notes")
    def notes():
        with Session() as session:
            return [{"id": n.id, "slug": n.slug} for n in session.scalars(select(Note))]

    @app.get("/notes/{slug}")
    def note(slug: str):
        with Session() as session:
            found = session.scalar(select(Note).where(Note.slug == slug))
            if found is None:
                raise HTTPException(404)
            return {"slug": found.slug, "text": found.text}

    @app.put("/notes/{slug}", dependencies=[Depends(is_admin)])
    def put(slug: str, text: str):
        with Session.begin() as session:
            session.merge(Note(slug=slug, text=text))

    return app
