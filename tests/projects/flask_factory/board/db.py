import click
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column, relationship
from werkzeug.security import generate_password_hash

db = SQLAlchemy()


class User(db.Model):
    id: Mapped[int] = mapped_column(primary_key=True)
    username: Mapped[str] = mapped_column(unique=True)
    password: Mapped[str]


class Post(db.Model):
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    body: Mapped[str]
    author_id: Mapped[int] = mapped_column(ForeignKey("user.id"))
    author: Mapped[User] = relationship()


@click.command("init-db")
def init_db_command():
    """Clear existing data and create new tables."""
    db.drop_all()
    db.create_all()
    click.echo("Initialized the database.")


@click.command("seed")
@click.option("--posts", default=40)
def seed_command(posts):
    """Insert sample data."""
    user = User(username="demo", password=generate_password_hash("demo", method="pbkdf2:sha256:1000"))
    db.session.add(user)
    for number in range(posts):
        db.session.add(Post(title=f"Post {number + 1}", body="Lorem ipsum. " * 30, author=user))
    db.session.commit()
    click.echo(f"{posts} posts")


def init_app(app):
    app.cli.add_command(init_db_command)
    app.cli.add_command(seed_command)
