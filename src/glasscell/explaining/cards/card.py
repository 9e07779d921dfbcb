"""What a card holds, and the publications that cards name."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Source:
    """A publication.

    Attributes:
        authors, year, title: as printed.
        where: journal, conference or arXiv number.
    """

    authors: str
    year: int
    title: str
    where: str

    def __str__(self) -> str:
        return f"{self.authors} ({self.year}): {self.title}. {self.where}."


@dataclass(frozen=True)
class Card:
    """What is known of a variant, in words; its equations and sizes follow from its definition.

    Attributes:
        title: its full name.
        brief: what is different, in one line for a table, with markup.
        differs: the same in sentences.
        use: when to take it, and when not.
        sources: where it comes from.
        place: where in them: sections, equations, names.
        reported: what its authors, or those who compared it, report of it; empty where nothing.
    """

    title: str
    brief: str
    differs: str
    use: str
    sources: tuple[Source, ...] = ()
    place: str = ""
    reported: str = ""


HOCHREITER = Source(
    "Sepp Hochreiter, Jürgen Schmidhuber", 1997, "Long Short-Term Memory",
    "Neural Computation 9(8), 1735–1780",
)  # fmt: skip
GERS_2000 = Source(
    "Felix A. Gers, Jürgen Schmidhuber, Fred Cummins", 2000,
    "Learning to Forget: Continual Prediction with LSTM", "Neural Computation 12(10), 2451–2471",
)  # fmt: skip
GERS_2002 = Source(
    "Felix A. Gers, Nicol N. Schraudolph, Jürgen Schmidhuber", 2002,
    "Learning Precise Timing with LSTM Recurrent Networks",
    "Journal of Machine Learning Research 3, 115–143",
)  # fmt: skip
GREFF = Source(
    "Klaus Greff, Rupesh K. Srivastava, Jan Koutník, Bas R. Steunebrink, Jürgen Schmidhuber", 2017,
    "LSTM: A Search Space Odyssey",
    "IEEE Transactions on Neural Networks and Learning Systems 28(10), arXiv:1503.04069",
)  # fmt: skip
BA = Source(
    "Jimmy Lei Ba, Jamie Ryan Kiros, Geoffrey E. Hinton", 2016, "Layer Normalization",
    "arXiv:1607.06450",
)  # fmt: skip
WESTHUIZEN = Source(
    "Jos van der Westhuizen, Joan Lasenby", 2018,
    "The unreasonable effectiveness of the forget gate", "arXiv:1804.04849",
)  # fmt: skip
BECK = Source(
    "Maximilian Beck, Korbinian Pöppel, Markus Spanring, Andreas Auer, Oleksandra Prudnikova, "
    "Michael Kopp, Günter Klambauer, Johannes Brandstetter, Sepp Hochreiter", 2024,
    "xLSTM: Extended Long Short-Term Memory", "arXiv:2405.04517",
)  # fmt: skip
FENG = Source(
    "Leo Feng, Frederick Tung, Mohamed Osama Ahmed, Yoshua Bengio, Hossein Hajimirsadeghi", 2024,
    "Were RNNs All We Needed?", "arXiv:2410.01201",
)  # fmt: skip
CHO = Source(
    "Kyunghyun Cho, Bart van Merriënboer, Caglar Gulcehre, Dzmitry Bahdanau, Fethi Bougares, "
    "Holger Schwenk, Yoshua Bengio", 2014,
    "Learning Phrase Representations using RNN Encoder–Decoder for Statistical Machine "
    "Translation", "EMNLP 2014, arXiv:1406.1078",
)  # fmt: skip
JOZEFOWICZ = Source(
    "Rafal Jozefowicz, Wojciech Zaremba, Ilya Sutskever", 2015,
    "An Empirical Exploration of Recurrent Network Architectures", "ICML 2015",
)  # fmt: skip
ELMAN = Source("Jeffrey L. Elman", 1990, "Finding Structure in Time", "Cognitive Science 14(2)")
LE = Source(
    "Quoc V. Le, Navdeep Jaitly, Geoffrey E. Hinton", 2015,
    "A Simple Way to Initialize Recurrent Networks of Rectified Linear Units", "arXiv:1504.00941",
)  # fmt: skip
LI = Source(
    "Shuai Li, Wanqing Li, Chris Cook, Ce Zhu, Yanbo Gao", 2018,
    "Independently Recurrent Neural Network (IndRNN): Building A Longer and Deeper RNN",
    "CVPR 2018, arXiv:1803.04831",
)  # fmt: skip
