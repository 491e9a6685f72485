import sqlite3

from flask import Flask, abort, g, jsonify, redirect, render_template, request

app = Flask(__name__)
app.secret_key = "change me"
DATABASE = "guestbook.db"


def get_db():
    if "db" not in g:
        g.db = sqlite3.connect(DATABASE)
        g.db.row_factory = sqlite3.Row
    return g.db


@app.teardown_appcontext
def close_db(error):
    db = g.pop("db", None)
    if db is not None:
        db.close()


@app.route("/")
def index():
    entries = get_db().execute("SELECT id, name, message FROM entries ORDER BY id DESC LIMIT 25").fetchall()
    return render_template("index.html", entries=entries)


@app.route("/entry/<int:entry_id>")
def entry(entry_id):
    row = get_db().execute("SELECT * FROM entries WHERE id = ?", (entry_id,)).fetchone()
    if row is None:
        abort(404)
    return render_template("entry.html", entry=row)


@app.route("/sign", methods=["GET", "POST"])
def sign():
    if request.method == "POST":
        db = get_db()
        db.execute("INSERT INTO entries (name, message) VALUES (?, ?)", (request.form["name"], request.form["message"]))
        db.commit()
        return redirect("/")
    return render_template("sign.html")


@app.route("/entry/<int:entry_id>/delete")
def delete(entry_id):
    db = get_db()
    db.execute("DELETE FROM entries WHERE id = ?", (entry_id,))
    db.commit()
    return redirect("/")


@app.route("/api/entries")
def api_entries():
    rows = get_db().execute("SELECT id, name, message FROM entries").fetchall()
    return jsonify([dict(row) for row in rows])


if __name__ == "__main__":
    app.run(debug=True)
