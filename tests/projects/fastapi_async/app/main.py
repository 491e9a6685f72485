from contextlib import asynccontextmanager

from fastapi import FastAPI

from app.db import engine
from app.routers import authors, books, me


@asynccontextmanager
async def lifespan(app: FastAPI):
    yield
    await engine.dispose()


app = FastAPI(title="Library", lifespan=lifespan)
app.include_router(books.router, prefix="/api/v1")
app.include_router(authors.router, prefix="/api/v1")
app.include_router(me.router, prefix="/api/v1")


@app.get("/health")
async def health():
    return {"ok": True}
