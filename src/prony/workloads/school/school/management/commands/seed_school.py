import datetime as dt
import random

from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import User
from django.core.management.base import BaseCommand
from django.db import transaction

from school.models import Attendance, Grade, Message, School, Student

FIRST = "Ada Ben Cleo Dina Emil Fay Gus Hana Ivo Jun Kai Lea Max Nora Omar Pia".split()  # noqa: SIM905
LAST = "Adler Berg Chen Dunn Endo Frey Gray Hall Ito Jung Kern Lang Mora Nash Voss".split()  # noqa: SIM905
SUBJECTS = ("Biology", "English", "Geography", "History", "Mathematics", "Music")
FORMS = ("1a", "1b", "2a", "2b", "3a", "3b", "4a", "4b")
SCHOOLS = ("North School", "River School", "Hill School")
TEXTS = (
    "Could we talk on Thursday after the last lesson?",
    "Thank you for the call. We have agreed on a little more reading at home.",
    "The trip starts at eight. Please bring something to eat and a coat.",
    "A cold, I am afraid: back on Monday.",
    "The project was a joy to read. Well done.",
    "The homework of last week is still missing.",
)
TODAY = dt.date(2026, 11, 20)  # fixed, so that every seeding is alike
NOON = dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC)
DAYS = 10
GRADES = 8
MESSAGES = 4  # by each student's parent and teacher together


class Command(BaseCommand):
    help = "Fills an empty database with schools, students, grades, attendance and messages; makes the user guest."

    def add_arguments(self, parser):
        parser.add_argument("--students", type=int, default=240)

    @transaction.atomic
    def handle(self, *args, **options):  # noqa: ARG002
        if School.objects.exists():
            self.stdout.write("there are schools already: nothing added")
            return
        self.rng = random.Random(20)
        schools = School.objects.bulk_create([School(name=name) for name in SCHOOLS])
        teachers = self.teachers(schools)
        students = Student.objects.bulk_create(
            Student(school=self.rng.choice(schools), name=self.name(), form=self.rng.choice(FORMS))
            for _ in range(options["students"])
        )
        parents = self.parents(students)
        Grade.objects.bulk_create(self.grades(students), batch_size=1000)
        Attendance.objects.bulk_create(self.attendance(students), batch_size=1000)
        Message.objects.bulk_create(self.messages(students, parents, teachers), batch_size=1000)
        for model in (School, User, Student, Grade, Attendance, Message):
            self.stdout.write(f"{model.__name__}: {model.objects.count()} rows")

    def name(self):
        return f"{self.rng.choice(FIRST)} {self.rng.choice(LAST)}"

    def user(self, username):
        first, last = self.name().split()
        return User(username=username, first_name=first, last_name=last, password=make_password(None))

    def teachers(self, schools):
        """Each school's teachers; guest is one of the first school's."""
        guest = User(username="guest", first_name="Guest", last_name="Teacher", password=make_password("guest"))
        others = [self.user(f"teacher{number}") for number in range(1, 12)]
        users = User.objects.bulk_create([guest, *others])
        found = {school.pk: users[number :: len(schools)] for number, school in enumerate(schools)}
        School.teachers.through.objects.bulk_create(
            School.teachers.through(school_id=school, user_id=user.pk)
            for school, users in found.items()
            for user in users
        )
        return found

    def parents(self, students):
        users = User.objects.bulk_create([self.user(f"parent{number}") for number in range(1, len(students) + 1)])
        Student.parents.through.objects.bulk_create(
            Student.parents.through(student_id=student.pk, user_id=user.pk)
            for student, user in zip(students, users, strict=True)
        )
        return users

    def grades(self, students):
        for student in students:
            level = self.rng.randrange(50, 90)
            for _ in range(GRADES):
                yield Grade(
                    student=student,
                    subject=self.rng.choice(SUBJECTS),
                    points=min(100, max(0, round(self.rng.gauss(level, 8)))),
                    given_on=TODAY - dt.timedelta(days=self.rng.randrange(90)),
                )

    def attendance(self, students):
        for student in students:
            for back in range(DAYS):
                [mark] = self.rng.choices(Attendance.Mark.values, weights=(92, 5, 3))
                yield Attendance(student=student, day=TODAY - dt.timedelta(days=back), mark=mark)

    def messages(self, students, parents, teachers):
        for student, parent in zip(students, parents, strict=True):
            teacher = self.rng.choice(teachers[student.school_id])
            for number in range(MESSAGES):
                pair = (parent, teacher) if number % 2 else (teacher, parent)
                sent_at = NOON - dt.timedelta(minutes=self.rng.randrange(60 * 24 * 90))
                text = self.rng.choice(TEXTS)
                yield Message(sender=pair[0], recipient=pair[1], student=student, text=text, sent_at=sent_at)
