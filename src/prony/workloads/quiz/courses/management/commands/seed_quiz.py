import os
import random
import uuid
from datetime import UTC, datetime, timedelta

from django.core.management.base import BaseCommand
from django.db import transaction

from courses.models import Attempt, Course, Lesson, Question, Quiz

COURSES = [
    ("reading-maps", "Reading maps", "Scales, contour lines and how not to get lost."),
    ("night-sky", "The night sky", "What is up there on a clear evening, and when."),
    ("bread", "Bread", "Flour, water, salt and a great deal of patience."),
    ("knots", "Knots", "Eight that hold, and one that should not."),
    ("weather", "Weather", "Fronts, clouds and what the barometer says."),
    ("first-aid", "First aid", "What to do until somebody comes who knows more."),
]
LESSONS = 8
QUESTIONS = 10
CHOICES = 4
STUDENTS_PER_ATTEMPT = 0.1
BATCH = 2000
WORDS = (  # noqa: SIM905
    "a the this every some most few north south line scale point hill valley star planet dough crust rope loop cloud "
    "wind rain pressure wound pulse bandage rises falls turns holds breaks shows hides follows before after under over "
    "between slowly quickly always never often first then last until because although morning evening winter summer"
).split()


def sentence(rng, low=6, high=16):
    words = [rng.choice(WORDS) for _ in range(rng.randint(low, high))]
    return " ".join(words).capitalize()


def body(rng):
    parts = []
    for _ in range(4):
        parts.append(f"<h2>{sentence(rng, 2, 5)}</h2>")
        parts += [
            "<p>" + " ".join(sentence(rng) + "." for _ in range(rng.randint(4, 8))) + "</p>"
            for _ in range(rng.randint(1, 3))
        ]
    items = "".join(f"<li>{sentence(rng, 3, 8)}</li>" for _ in range(5))
    return "\n".join([*parts, f"<ul>{items}</ul>"])


def make_content(rng):
    for slug, title, summary in COURSES:
        course = Course.objects.create(slug=slug, title=title, summary=summary, image=f"courses/{slug}.png")
        for number in range(1, LESSONS + 1):
            name = sentence(rng, 2, 4)
            lesson = Lesson.objects.create(course=course, number=number, title=name, body=body(rng))
            quiz = Quiz.objects.create(lesson=lesson, title=f"Quiz: {name}")
            Question.objects.bulk_create(
                Question(
                    quiz=quiz,
                    number=place,
                    text=sentence(rng, 5, 12) + "?",
                    choices=[sentence(rng, 1, 4) for _ in range(CHOICES)],
                    right=rng.randrange(CHOICES),
                )
                for place in range(1, QUESTIONS + 1)
            )


def make_attempts(rng, count):
    rights = {}
    for question in Question.objects.order_by("quiz_id", "number"):
        rights.setdefault(question.quiz_id, {})[question.key] = question.right
    quizzes = sorted(rights)
    students = [
        uuid.UUID(int=rng.getrandbits(128), version=4) for _ in range(max(1, int(count * STUDENTS_PER_ATTEMPT)))
    ]
    day = datetime(2026, 1, 1, tzinfo=UTC)
    for begin in range(0, count, BATCH):
        batch = []
        for _ in range(min(BATCH, count - begin)):
            quiz = rng.choice(quizzes)
            right = rights[quiz]
            answers = {key: r if rng.random() < 0.6 else rng.randrange(CHOICES) for key, r in right.items()}
            score = round(100 * sum(answers[key] == right[key] for key in right) / len(right))
            taken = rng.randint(20, 600)
            when = day + timedelta(seconds=rng.randrange(300 * 86400))
            batch.append(
                Attempt(
                    quiz_id=quiz,
                    student=rng.choice(students),
                    answers=answers,
                    score=score,
                    seconds=taken,
                    created_at=when,
                )
            )
        Attempt.objects.bulk_create(batch)


class Command(BaseCommand):
    help = "Makes courses, lessons and quizzes, where there are none, and fills up the attempts to a number of them."

    def add_arguments(self, parser):
        default = int(os.environ.get("ATTEMPTS", "10000"))
        parser.add_argument("--attempts", type=int, default=default, help="default: ATTEMPTS, else 10000")

    def handle(self, *args, **options):  # noqa: ARG002
        rng = random.Random(300)
        with transaction.atomic():
            if not Course.objects.exists():
                make_content(rng)
            missing = max(0, options["attempts"] - Attempt.objects.count())
            make_attempts(rng, missing)
        self.stdout.write(f"{missing} attempts added")
