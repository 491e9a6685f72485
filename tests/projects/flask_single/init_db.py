import sqlite3

connection = sqlite3.connect("guestbook.db")

with open("schema.sql") as f:
    connection.executescript(f.read())

for i in range(30):
    connection.execute("INSERT INTO entries (name, message) VALUES (?, ?)", (f"Guest {i}", f"Hello number {i}"))

connection.commit()
connection.close()
