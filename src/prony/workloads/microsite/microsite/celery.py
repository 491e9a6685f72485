import os

from celery import Celery
from celery.signals import worker_ready

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "microsite.settings")

app = Celery("microsite")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@worker_ready.connect
def prepare_at_once(**_):
    """A fresh cache is not left empty until beat's first tick."""
    app.send_task("shop.tasks.refresh_products")
    app.send_task("shop.tasks.refresh_parts")
