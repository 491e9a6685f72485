from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.db.models import Avg, Count, Q
from django.shortcuts import get_object_or_404, redirect, render

from school.forms import MessageForm, contacts_of
from school.models import Attendance, Grade, Message, Student

PER_PAGE = 25


def page_of(request, rows):
    return Paginator(rows, PER_PAGE).get_page(request.GET.get("page"))


@login_required
def dashboard(request):
    students = Student.objects.seen_by(request.user)
    return render(
        request,
        "school/dashboard.html",
        {
            "students": page_of(request, students.select_related("school")),
            "messages": Message.objects.filter(recipient=request.user).select_related("sender", "student")[:5],
            "received": Message.objects.filter(recipient=request.user).count(),
            "average": Grade.objects.filter(student__in=students.values("pk")).aggregate(Avg("points"))["points__avg"],
            "absences": Attendance.objects.filter(
                student__in=students.values("pk"), mark=Attendance.Mark.ABSENT
            ).count(),
        },
    )


@login_required
def messages(request):
    form = MessageForm(request.POST or None, user=request.user)
    if request.method == "POST" and form.is_valid():
        form.save()
        return redirect("messages")
    rows = Message.objects.filter(Q(recipient=request.user) | Q(sender=request.user))
    return render(
        request,
        "school/messages.html",
        {
            "form": form,
            "messages": page_of(request, rows.select_related("sender", "recipient", "student")),
            "contacts": contacts_of(request.user).order_by("username")[:PER_PAGE],
        },
    )


@login_required
def grades(request):
    rows = Grade.objects.filter(student__in=Student.objects.seen_by(request.user).values("pk"))
    return render(
        request,
        "school/grades.html",
        {
            "grades": page_of(request, rows.select_related("student")),
            "subjects": rows.order_by().values("subject").annotate(average=Avg("points"), count=Count("pk")),
        },
    )


@login_required
def attendance(request):
    rows = Attendance.objects.filter(student__in=Student.objects.seen_by(request.user).values("pk"))
    return render(
        request,
        "school/attendance.html",
        {
            "attendance": page_of(request, rows.select_related("student").order_by("-day", "student__form", "pk")),
            "days": rows.order_by("-day").values("day").annotate(missing=Count("pk", filter=~Q(mark="present")))[:10],
        },
    )


@login_required
def student(request, pk):
    found = get_object_or_404(Student.objects.seen_by(request.user).select_related("school"), pk=pk)
    return render(
        request,
        "school/student.html",
        {
            "student": found,
            "grades": found.grades.all(),
            "attendance": found.attendance.all(),
            "parents": found.parents.all(),
        },
    )
