import os

import redis
from flask import Flask, jsonify, render_template, request

from tasks import resize

app = Flask(__name__)
store = redis.from_url(os.environ.get("REDIS_URL", "redis://localhost:6379/0"))


@app.get("/")
def home():
    hits = store.incr("hits")
    return render_template("home.html", hits=hits)


@app.post("/jobs")
def enqueue():
    job = resize.delay(request.get_json()["width"])
    return jsonify(id=job.id), 202


@app.get("/jobs/recent")
def recent():
    return jsonify([int(width) for width in store.lrange("done", 0, 20)])


@app.get("/ping")
def ping():
    # every visit leaves a job behind, so the worker has something to do
    resize.delay(100)
    return "pong"
