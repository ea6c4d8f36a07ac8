"""Goes once over the rows of a data set and keeps what every part of the analysis needs."""

from dataclasses import dataclass, field

from services.analyzer.duplicates import ExactDuplicates
from services.analyzer.languages import Languages
from services.analyzer.lengths import Lengths, Ruler
from services.analyzer.near_duplicates import near_duplicates
from services.analyzer.overlap import Questions
from services.analyzer.profile import Profile
from services.analyzer.rows import RowFile
from services.analyzer.shingles import shingles
from services.analyzer.sketches import Sketchbook
from shared.worker.meter import Meter


@dataclass
class Survey:
    """Counters, hashes and sketches of one data set: about a kilobyte a row, however long the rows are."""

    rows: RowFile
    lengths: Lengths
    profile: Profile = field(default_factory=Profile)
    duplicates: ExactDuplicates = field(default_factory=ExactDuplicates)
    languages: Languages = field(default_factory=Languages)
    distinct: list[int] = field(default_factory=list)
    """The rows that are sketched: the first of each kind."""
    sketches: Sketchbook = field(default_factory=Sketchbook)

    def near_groups(self, threshold: float) -> list[list[int]]:
        """Clusters of distinct rows that are nearly the same."""
        return near_duplicates(self.rows, self.distinct, self.sketches.matrix(), threshold)


def survey(rows: RowFile, ruler: Ruler, meter: Meter, questions: Questions | None) -> Survey:
    """Look at every row once; its question is kept as well when there is a test set to compare with."""
    found = Survey(rows, Lengths(ruler))
    for row in rows:
        found.profile.add(row)
        found.lengths.add(row)
        found.languages.add(row.text)
        if questions is not None:
            questions.add(row)
        if found.duplicates.add(row) and (pieces := shingles(row.text)):
            found.distinct.append(row.number)
            found.sketches.add(pieces)
        meter.advance("reading rows")
    return found


def read_questions(rows: RowFile, meter: Meter) -> Questions:
    """Go over a test set for its questions only."""
    questions = Questions(rows)
    for row in rows:
        questions.add(row)
        meter.advance("reading test rows")
    return questions
