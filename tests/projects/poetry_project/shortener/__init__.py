from shortener.app import app

__all__ = ["app"]
