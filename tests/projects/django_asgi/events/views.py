import asyncio

from django.http import Http404, JsonResponse
from django.shortcuts import render

from .models import Event, Venue


async def index(request):
    events = [event async for event in Event.objects.select_related("venue")[:30]]
    return render(request, "events/index.html", {"events": events})


async def detail(request, pk):
    try:
        event = await Event.objects.select_related("venue").aget(pk=pk)
    except Event.DoesNotExist:
        raise Http404("No such gig") from None
    return render(request, "events/detail.html", {"event": event})


async def stats(request):
    await asyncio.sleep(0.01)
    return JsonResponse({"events": await Event.objects.acount(), "venues": await Venue.objects.acount()})


async def health(request):
    return JsonResponse({"status": "ok"})
