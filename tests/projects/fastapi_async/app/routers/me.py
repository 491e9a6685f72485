from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.security import OAuth2PasswordBearer

router = APIRouter(tags=["me"])
token = OAuth2PasswordBearer(tokenUrl="/token")


@router.get("/me")
async def me(bearer: Annotated[str, Depends(token)]):
    return {"token": len(bearer)}
