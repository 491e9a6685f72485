from sql_app import models
from sql_app.database import SessionLocal, engine

if __name__ == "__main__":
    models.Base.metadata.create_all(bind=engine)
    with SessionLocal() as db:
        for n in range(20):
            user = models.User(email=f"user{n}@example.com", hashed_password="x")
            user.items = [models.Item(title=f"Item {i}", description="A thing") for i in range(3)]
            db.add(user)
        db.commit()
