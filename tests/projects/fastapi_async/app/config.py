from functools import lru_cache

from pydantic import PostgresDsn, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_file=".env", extra="ignore")

    database_url: PostgresDsn
    secret_key: SecretStr
    environment: str = "development"
    pool_size: int = 5
    page_size: int = 20


@lru_cache
def get_settings() -> Settings:
    return Settings()
