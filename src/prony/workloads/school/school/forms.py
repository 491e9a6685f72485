from django import forms
from django.contrib.auth.models import User

from school.models import Message, School, Student


def contacts_of(user):
    """Whom a user may write to: the teachers and parents of the students they see."""
    students = Student.objects.seen_by(user)
    teachers = School.teachers.through.objects.filter(school__in=students.values("school")).values("user")
    parents = Student.parents.through.objects.filter(student__in=students.values("pk")).values("user")
    return (User.objects.filter(pk__in=teachers) | User.objects.filter(pk__in=parents)).exclude(pk=user.pk)


class MessageForm(forms.ModelForm):
    recipient = forms.CharField(label="To (user name)", max_length=150)

    class Meta:
        model = Message
        fields = ["recipient", "text"]
        widgets = {"text": forms.Textarea(attrs={"rows": 3})}

    def __init__(self, *args, user, **kwargs):
        super().__init__(*args, **kwargs)
        self.user = user
        self.instance.sender = user

    def clean_recipient(self):
        found = contacts_of(self.user).filter(username=self.cleaned_data["recipient"]).first()
        if found is None:
            raise forms.ValidationError("Nobody of that name is among the people you may write to.")
        return found
