"""python -m scripts.seed"""

import asyncio

from app.db import Session
from app.models import Author, Book


async def main():
    async with Session() as session:
        for a in range(10):
            author = Author(name=f"Author {a}")
            author.books = [Book(isbn=f"978-{a:03}-{b:03}", title=f"Book {b} of {a}") for b in range(10)]
            session.add(author)
        await session.commit()


if __name__ == "__main__":
    asyncio.run(main())
