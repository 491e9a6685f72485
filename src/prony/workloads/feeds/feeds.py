import json
import os
import time

import requests
from flask import Flask, Response, jsonify, request, stream_with_context

FEED_URL = os.environ.get("FEED_URL", "http://127.0.0.1:5900/")
FEED_EVERY = float(os.environ.get("FEED_EVERY", "1"))  # seconds between two looks at the feed
FEED_UPDATES = int(os.environ.get("FEED_UPDATES", "30"))  # looks, before a stream ends
TIMEOUT = 30

app = Flask(__name__)


@app.get("/")
def index():
    return (
        "<!doctype html><title>Feeds</title>"
        '<h1>Feeds</h1><ul><li><a href="/check_feed">check_feed</a>: the feed, once'
        '<li><a href="/stream_feed">stream_feed</a>: the feed, for as long as it is watched</ul>'
    )


@app.get("/check_feed")
def check_feed():
    try:
        return jsonify(ask_feed())
    except requests.RequestException:
        return jsonify(error="the feed does not answer"), 503


@app.get("/stream_feed")
def stream_feed():
    updates = min(max(1, request.args.get("updates", FEED_UPDATES, type=int)), 1000)
    headers = {"Cache-Control": "no-cache"}
    return Response(stream_with_context(watch(updates)), mimetype="text/event-stream", headers=headers)


def watch(updates):
    for number in range(updates):
        if number:
            time.sleep(FEED_EVERY)
        try:
            yield f"data: {json.dumps(ask_feed())}\n\n"
        except requests.RequestException:
            yield "event: error\ndata: the feed does not answer\n\n"


def ask_feed():
    answer = requests.get(FEED_URL, timeout=TIMEOUT)
    answer.raise_for_status()
    return answer.json()
