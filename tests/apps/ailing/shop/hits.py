"""Notes every request in the file that HITS names."""

import os


def noted(get_response):
    def answer(request):
        if os.environ.get("HITS"):
            with open(os.environ["HITS"], "a", encoding="utf-8") as file:
                file.write(f"{request.method} {request.get_full_path()}\n")
        return get_response(request)

    return answer
