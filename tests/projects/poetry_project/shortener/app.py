import os
import secrets

import redis
from flask import Flask, abort, redirect, render_template, request, url_for

app = Flask(__name__)
links = redis.Redis(
    host=os.environ.get("REDIS_HOST", "localhost"),
    port=int(os.environ.get("REDIS_PORT", 6379)),
    decode_responses=True,
)


@app.get("/")
def index():
    return render_template("index.html", links=sorted(links.hgetall("links").items()))


@app.post("/links")
def shorten():
    key = secrets.token_urlsafe(4)
    links.hset("links", key, request.form["url"])
    return redirect(url_for("index"))


@app.get("/l/<key>")
def follow(key):
    url = links.hget("links", key)
    if url is None:
        abort(404)
    return redirect(url)


@app.get("/info/<key>")
def info(key):
    url = links.hget("links", key)
    if url is None:
        abort(404)
    return render_template("info.html", key=key, url=url)


@app.cli.command("load-samples")
def load_samples():
    """Adds sample links."""
    for number in range(12):
        links.hset("links", f"s{number}", f"https://example.com/{number}")
