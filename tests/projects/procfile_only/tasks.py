import os

import redis
from celery import Celery

BROKER = os.environ.get("REDIS_URL", "redis://localhost:6379/0")
celery = Celery("tasks", broker=BROKER)
store = redis.from_url(BROKER)


@celery.task
def resize(width):
    store.lpush("done", width)
    store.ltrim("done", 0, 100)
