import json
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import JSONResponse, RedirectResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.templating import Jinja2Templates

HERE = Path(__file__).parent
templates = Jinja2Templates(directory=HERE / "templates")
recipes = {r["slug"]: r for r in json.loads((HERE / "recipes.json").read_text())}


async def home(request):
    return templates.TemplateResponse(request, "home.html", {"recipes": recipes.values()})


async def recipe(request):
    found = recipes.get(request.path_params["slug"])
    if found is None:
        raise HTTPException(404)
    return templates.TemplateResponse(request, "recipe.html", {"recipe": found})


async def surprise(request):
    return RedirectResponse("/recipes/pancakes")


async def api_list(request):
    return JSONResponse(list(recipes.values()))


async def api_one(request):
    found = recipes.get(request.path_params["slug"])
    return JSONResponse(found or {"error": "unknown"}, 200 if found else 404)


async def api_add(request):
    body = await request.json()
    recipes[body["slug"]] = body
    return JSONResponse(body, 201)


async def ticker(websocket):
    await websocket.accept()
    await websocket.close()


api = Starlette(
    routes=[
        Route("/recipes", api_list),
        Route("/recipes", api_add, methods=["POST"]),
        Route("/recipes/{slug}", api_one),
    ]
)

app = Starlette(
    routes=[
        Route("/", home),
        Route("/recipes/{slug}", recipe, name="recipe"),
        Route("/surprise", surprise),
        WebSocketRoute("/ws", ticker),
        Mount("/api", app=api),
        Mount("/static", app=StaticFiles(directory=HERE / "static"), name="static"),
    ],
    middleware=[Middleware(GZipMiddleware)],
)

if __name__ == "__main__":
    uvicorn.run(app, host="0.0.0.0", port=8000)
