from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Query
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import selectinload

from app.db import get_session
from app.models import Book
from app.schemas import BookIn, BookOut

router = APIRouter(prefix="/books", tags=["books"])
DB = Annotated[AsyncSession, Depends(get_session)]


@router.get("", response_model=list[BookOut])
async def list_books(db: DB, limit: Annotated[int, Query(le=100)] = 20, offset: int = 0):
    found = select(Book).options(selectinload(Book.author)).order_by(Book.id).limit(limit).offset(offset)
    return (await db.scalars(found)).all()


@router.get("/by-isbn/{isbn}", response_model=BookOut)
async def by_isbn(isbn: str, db: DB):
    book = await db.scalar(select(Book).where(Book.isbn == isbn).options(selectinload(Book.author)))
    if book is None:
        raise HTTPException(404, "No such book")
    return book


@router.get("/{book_id}", response_model=BookOut)
async def get_book(book_id: int, db: DB):
    book = await db.get(Book, book_id, options=[selectinload(Book.author)])
    if book is None:
        raise HTTPException(404, "No such book")
    return book


@router.post("", status_code=201)
async def add_book(book: BookIn, db: DB):
    db.add(Book(**book.model_dump()))
    await db.commit()


@router.delete("/{book_id}", status_code=204)
async def delete_book(book_id: int, db: DB):
    book = await db.get(Book, book_id)
    if book is not None:
        await db.delete(book)
        await db.commit()
