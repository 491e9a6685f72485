from celery import shared_task

from shop import prepared


@shared_task
def refresh_products():
    return len(prepared.refresh(prepared.product_answers))


@shared_task
def refresh_parts():
    return len(prepared.refresh(prepared.part_answers))
