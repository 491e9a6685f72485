from django.contrib.auth.models import User
from django.db import models
from django.db.models import Q
from django.utils import timezone


class School(models.Model):
    name = models.CharField(max_length=100)
    teachers = models.ManyToManyField(User, related_name="schools")

    def __str__(self):
        return self.name


class StudentQuerySet(models.QuerySet):
    def seen_by(self, user):
        """A teacher sees every student of their schools, a parent their own children."""
        return self.filter(
            Q(school__in=School.objects.filter(teachers=user).values("pk"))
            | Q(pk__in=Student.parents.through.objects.filter(user=user).values("student"))
        )


class Student(models.Model):
    school = models.ForeignKey(School, on_delete=models.CASCADE, related_name="students")
    name = models.CharField(max_length=100)
    form = models.CharField(max_length=10)
    parents = models.ManyToManyField(User, related_name="children")

    objects = StudentQuerySet.as_manager()

    class Meta:
        ordering = ["form", "name"]

    def __str__(self):
        return f"{self.name} ({self.form})"


class Grade(models.Model):
    student = models.ForeignKey(Student, on_delete=models.CASCADE, related_name="grades")
    subject = models.CharField(max_length=40)
    points = models.PositiveSmallIntegerField()  # of 100
    given_on = models.DateField(db_index=True)

    class Meta:
        ordering = ["-given_on", "-pk"]

    def __str__(self):
        return f"{self.subject}: {self.points}"


class Attendance(models.Model):
    class Mark(models.TextChoices):
        PRESENT = "present"
        LATE = "late"
        ABSENT = "absent"

    student = models.ForeignKey(Student, on_delete=models.CASCADE, related_name="attendance")
    day = models.DateField(db_index=True)
    mark = models.CharField(max_length=10, choices=Mark)

    class Meta:
        ordering = ["-day"]
        constraints = [models.UniqueConstraint(fields=["student", "day"], name="one_mark_a_day")]

    def __str__(self):
        return f"{self.day}: {self.mark}"


class Message(models.Model):
    sender = models.ForeignKey(User, on_delete=models.CASCADE, related_name="sent")
    recipient = models.ForeignKey(User, on_delete=models.CASCADE, related_name="received")
    student = models.ForeignKey(Student, on_delete=models.CASCADE, null=True, blank=True)
    text = models.TextField(max_length=2000)
    sent_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-sent_at", "-pk"]
        indexes = [models.Index(fields=["recipient", "-sent_at"])]

    def __str__(self):
        return self.text[:40]
