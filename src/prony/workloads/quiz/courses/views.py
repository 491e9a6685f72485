import json
import time
import uuid

from django.db.models import Avg, Count, Q
from django.http import HttpResponseBadRequest, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST, require_safe

from courses.models import Attempt, Course, Lesson, Quiz

STARTED_MAX = 20  # quizzes begun and not handed in, per session


def student_of(request):
    """Who this is: nobody logs in, the session knows."""
    if "student" not in request.session:
        request.session["student"] = uuid.uuid4().hex
    return uuid.UUID(request.session["student"])


# Content, the same for everybody: none of these touches the session. The header's part about the student comes by /me/.


@require_safe
def index(request):
    return render(request, "courses/index.html", {"courses": Course.objects.annotate(count=Count("lessons"))})


@require_safe
def course(request, slug):
    found = get_object_or_404(Course, slug=slug)
    return render(request, "courses/course.html", {"course": found, "lessons": found.lessons.select_related("quiz")})


@require_safe
def lesson(request, pk):
    found = get_object_or_404(Lesson.objects.select_related("course", "quiz"), pk=pk)
    others = found.course.lessons.only("number", "title", "course")
    return render(request, "courses/lesson.html", {"lesson": found, "others": others})


@require_safe
def statistics(request, pk):
    found = get_object_or_404(Quiz.objects.select_related("lesson"), pk=pk)
    questions = list(found.questions.all())
    rights = {q.key: Count("pk", filter=Q(**{f"answers__{q.key}": q.right})) for q in questions}
    counted = found.attempts.aggregate(taken=Count("pk"), average=Avg("score"), **rights)
    rows = [(q, round(100 * counted[q.key] / counted["taken"]) if counted["taken"] else 0) for q in questions]
    return render(request, "courses/statistics.html", {"quiz": found, "rows": rows, "counted": counted})


# The student's own.


@require_safe
def quiz(request, pk):
    found = get_object_or_404(Quiz.objects.select_related("lesson__course"), pk=pk)
    student = student_of(request)
    started = request.session.get("started", {})
    started[str(pk)] = int(time.time())
    request.session["started"] = dict(list(started.items())[-STARTED_MAX:])
    best = found.attempts.filter(student=student).order_by("-score").first()
    context = {"quiz": found, "questions": found.questions.all(), "best": best}
    return render(request, "courses/quiz.html", context)


@require_POST
def attempt(request, pk):
    return hand_in(request, pk)


@csrf_exempt
@require_POST
def api_attempt(request, pk):
    return hand_in(request, pk)


def hand_in(request, pk):
    found = get_object_or_404(Quiz, pk=pk)
    by_json = request.content_type == "application/json"
    try:
        given = json.loads(request.body) if by_json else request.POST
        questions = list(found.questions.all())
        answers = {q.key: range(len(q.choices)).index(int(given[q.key])) for q in questions if q.key in given}
    except (ValueError, TypeError, OverflowError):
        return HttpResponseBadRequest("answers are numbers of choices, by question: q1=0&q2=3")
    right = sum(answers.get(q.key) == q.right for q in questions)
    begun = request.session.get("started", {}).get(str(pk))
    done = Attempt.objects.create(
        quiz=found,
        student=student_of(request),
        answers=answers,
        score=round(100 * right / max(1, len(questions))),
        seconds=max(0, int(time.time()) - begun) if begun else 0,
    )
    request.session["attempts"] = request.session.get("attempts", 0) + 1
    if by_json:
        return JsonResponse({"attempt": done.pk, "score": done.score, "answers": answers}, status=201)
    return redirect("result", pk=done.pk)


@require_safe
def result(request, pk):
    found = get_object_or_404(Attempt.objects.select_related("quiz__lesson"), pk=pk, student=student_of(request))
    rows = [(q, q.choices[q.right], found.answers.get(q.key) == q.right) for q in found.quiz.questions.all()]
    return render(request, "courses/result.html", {"attempt": found, "rows": rows})


@require_safe
def progress(request):
    own = Attempt.objects.filter(student=student_of(request)).select_related("quiz").order_by("-created_at")[:50]
    return render(request, "courses/progress.html", {"attempts": own})


@require_safe
def me(request):
    return JsonResponse({"student": request.session.get("student"), "attempts": request.session.get("attempts", 0)})
