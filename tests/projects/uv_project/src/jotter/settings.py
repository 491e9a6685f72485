from pydantic import PostgresDsn
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="JOTTER_")

    database_url: PostgresDsn
    admin_token: str


settings = Settings()
