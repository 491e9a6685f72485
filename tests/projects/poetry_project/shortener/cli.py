from waitress import serve

from shortener.app import app


def main():
    serve(app, host="0.0.0.0", port=8080, threads=8)


if __name__ == "__main__":
    main()
