from django.db import models
from django.utils import timezone


class Course(models.Model):
    slug = models.SlugField(unique=True)
    title = models.CharField(max_length=100)
    summary = models.TextField()
    image = models.CharField(max_length=100)

    class Meta:
        ordering = ["pk"]

    def __str__(self):
        return self.title


class Lesson(models.Model):
    course = models.ForeignKey(Course, on_delete=models.CASCADE, related_name="lessons")
    number = models.PositiveSmallIntegerField()
    title = models.CharField(max_length=100)
    body = models.TextField(help_text="HTML")

    class Meta:
        ordering = ["course", "number"]
        constraints = [models.UniqueConstraint(fields=["course", "number"], name="lesson_number_once")]

    def __str__(self):
        return self.title


class Quiz(models.Model):
    lesson = models.OneToOneField(Lesson, on_delete=models.CASCADE)
    title = models.CharField(max_length=100)

    class Meta:
        verbose_name_plural = "quizzes"

    def __str__(self):
        return self.title


class Question(models.Model):
    quiz = models.ForeignKey(Quiz, on_delete=models.CASCADE, related_name="questions")
    number = models.PositiveSmallIntegerField()
    text = models.CharField(max_length=300)
    choices = models.JSONField()
    right = models.PositiveSmallIntegerField(help_text="index of the right choice")

    class Meta:
        ordering = ["number"]

    def __str__(self):
        return self.text

    @property
    def key(self):
        # with a letter: Postgres takes a number for the place in a list
        return f"q{self.number}"


class Attempt(models.Model):
    quiz = models.ForeignKey(Quiz, on_delete=models.CASCADE, related_name="attempts")
    student = models.UUIDField(db_index=True)
    answers = models.JSONField(help_text='{"q1": 2, ...}: which choice was taken')
    score = models.PositiveSmallIntegerField(help_text="per cent")
    seconds = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        indexes = [models.Index(fields=["quiz", "-created_at"], name="attempt_by_quiz")]

    def __str__(self):
        return f"{self.quiz_id}: {self.score} %"
