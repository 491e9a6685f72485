import random

from django.core.management.base import BaseCommand

from pages.models import Page

WORDS = (  # noqa: SIM905
    "lorem ipsum dolor sit amet consectetur adipiscing elit sed do eiusmod tempor incididunt ut labore et dolore "
    "magna aliqua enim ad minim veniam quis nostrud exercitation ullamco laboris nisi aliquip ex ea commodo consequat"
).split()
LENGTH = 140


def fake_text(rng):
    text = rng.choice(WORDS).capitalize()
    while len(text) < LENGTH:
        text += " " + rng.choice(WORDS)
    return text[: LENGTH - 1].rstrip().ljust(LENGTH - 1, "a") + "."


class Command(BaseCommand):
    help = "Fills the table with pages of fake text, up to a number of them."

    def add_arguments(self, parser):
        parser.add_argument("--count", type=int, default=1000)

    def handle(self, *args, **options):  # noqa: ARG002
        missing = options["count"] - Page.objects.count()
        rng = random.Random(140)
        pages = [Page(text=fake_text(rng)) for _ in range(max(0, missing))]
        Page.objects.bulk_create(pages, batch_size=500)
        self.stdout.write(f"{len(pages)} pages added")
