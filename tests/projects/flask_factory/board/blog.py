from flask import Blueprint, abort, g, redirect, render_template, request, url_for
from sqlalchemy import select

from .auth import login_required
from .db import Post, db

bp = Blueprint("blog", __name__)


@bp.route("/")
def index():
    page = request.args.get("page", 1, type=int)
    posts = db.paginate(select(Post).order_by(Post.id.desc()), page=page, per_page=10)
    return render_template("blog/index.html", posts=posts)


@bp.route("/post/<int:post_id>")
def show(post_id):
    return render_template("blog/show.html", post=db.get_or_404(Post, post_id))


@bp.route("/create", methods=("GET", "POST"))
@login_required
def create():
    if request.method == "POST":
        db.session.add(Post(title=request.form["title"], body=request.form["body"], author=g.user))
        db.session.commit()
        return redirect(url_for("blog.index"))
    return render_template("blog/create.html")


@bp.route("/post/<int:post_id>/delete", methods=("POST",))
@login_required
def delete(post_id):
    post = db.get_or_404(Post, post_id)
    if post.author_id != g.user.id:
        abort(403)
    db.session.delete(post)
    db.session.commit()
    return redirect(url_for("blog.index"))


@bp.route("/feed.json")
def feed():
    return {"posts": [{"id": p.id, "title": p.title} for p in db.session.scalars(select(Post).limit(20))]}
