from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import get_session
from app.models import Author
from app.schemas import AuthorOut

router = APIRouter(prefix="/authors", tags=["authors"])
DB = Annotated[AsyncSession, Depends(get_session)]


@router.get("", response_model=list[AuthorOut])
async def list_authors(db: DB):
    return (await db.scalars(select(Author).order_by(Author.name))).all()


@router.get("/{author_id}", response_model=AuthorOut)
async def get_author(author_id: int, db: DB):
    author = await db.get(Author, author_id)
    if author is None:
        raise HTTPException(404)
    return author
