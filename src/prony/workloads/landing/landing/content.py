FEATURES = [
    ("Ready in a minute", "Sign up, name your first page and send its address to whoever should see it."),
    ("Yours to change", "Move, rename and reshape every part of a page. Nothing is locked to a template."),
    ("Works on any screen", "What you write reads well on a telephone, a tablet and a wall."),
    ("Nothing to install", "It runs in the browser you have. There is no plug-in and no download."),
    ("Keeps every version", "Each change is kept. Go back to last week's page with one click."),
    ("Made for teams", "Write with others at the same time, and see who changed what."),
    ("Talks to your tools", "Calendars, lists and tables come in and go out in open formats."),
    ("Private unless shared", "A page is yours alone until you say otherwise, one reader at a time."),
    ("Quick to search", "Every word of every page is found as you type it."),
    ("Mail that arrives", "Reminders are sent when they are useful, and gathered when they are not."),
    ("Fair to your data", "Take everything with you on any day, in files that other programs read."),
    ("People who answer", "Write to us and a person replies, on the same day more often than not."),
]

QUOTES = [
    ("Anna, teacher", "My class had its own site before the bell rang. They have not stopped adding to it since."),
    ("Bram, baker", "I change the list of breads at five in the morning, from the oven door, with flour on my hands."),
    ("Chika, organiser", "Three hundred people looked at the programme at once, and all of them got it."),
    ("Dario, landlord", "The rules of the house, the bins and the keys: one page, and no more telephone calls."),
    ("Elin, student", "Our notes are in one place, and nobody can lose them on the bus any more."),
    ("Farid, engineer", "I was asked to build this in a month. I signed up instead, and went home early."),
]

QUESTIONS = [
    (
        "What does it cost?",
        "Nothing for one person and ten pages. A team pays by the month, and can stop in any month.",
    ),
    ("Do I need to know how to program?", "No. If you can write a letter, you can write a page."),
    ("Where are my pages kept?", "On two machines in two places, and copied to a third each night."),
    ("May I use my own address?", "Yes. Point your name at us, and your pages answer to it within the hour."),
    ("What if I have more visitors than planned?", "That is what this page is for: try us."),
    ("Can I leave?", "At any time, with all your pages. Two clicks: one to take them, one to go."),
    ("Is there a limit on pictures?", "Two gigabytes for one person, fifty for a team, and more if you ask."),
    ("Who reads my pages?", "Those you share them with. We do not, and we sell nothing about you to anybody."),
]

PLANS = [
    ("Alone", "0", ["One person", "Ten pages", "Two gigabytes of pictures", "Versions of a month"]),
    ("Together", "9", ["Up to ten people", "Pages without end", "Fifty gigabytes", "Versions of a year"]),
    ("Everybody", "49", ["Up to two hundred people", "Your own address", "A terabyte", "Every version"]),
]

NEWS = [
    (f"Week {week}", f"{done} and {also}.")
    for week, (done, also) in enumerate(
        [
            ("Pages load in half the time", "pictures are asked for only when they come into view"),
            ("Tables can be sorted", "columns keep their width"),
            ("The search forgives typing mistakes", "it looks into tables as well"),
            ("Reminders may be gathered into one mail a day", "they name the page they are about"),
            ("Two people can write in one paragraph", "their marks have colours"),
            ("A page can be taken out as one file", "so can a whole site"),
            ("The editor is at home in right-to-left scripts", "numbers stay where they belong"),
            ("Old versions are shown side by side", "what changed between them is marked"),
            ("Sign-in takes one step less", "it remembers where you were"),
            ("Lists can be ticked off", "what is done moves to the end"),
            ("Pictures turn themselves upright", "they lose nothing on the way"),
            ("The help has been written anew", "it is shorter"),
        ],
        1,
    )
]
