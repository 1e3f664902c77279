//! The demo's people and their courses: made by hand, the same on every run, like nobody who lives.

/// The password of every account of the demo.
pub const PASSWORD: &str = "plum orchard seven kites";

/// One item of an evening's agenda, and how many minutes it really took.
pub struct Item {
    pub technique: &'static str,
    pub objective: &'static str,
    pub factor: &'static str,
    pub planned: i32,
    pub homework: Option<&'static str>,
    /// 0 is skipped.
    pub took: i32,
}

pub const fn item(
    technique: &'static str,
    objective: &'static str,
    factor: &'static str,
    planned: i32,
    homework: Option<&'static str>,
    took: i32,
) -> Item {
    Item { technique, objective, factor, planned, homework, took }
}

/// One evening of the course: what was planned, what came of it, and what the session record says.
pub struct Evening {
    pub items: &'static [Item],
    pub record: &'static str,
}

/// Twelve evenings of cognitive behavioural therapy for depression, ninety minutes each.
pub const EVENINGS: [Evening; 12] = [
    Evening {
        items: &[
            item("opening-check-in", "Say who we are and what brought us", "universality", 25, None, 30),
            item("group-norms-review", "Agree how we treat what is said here", "group-cohesiveness", 20, None, 20),
            item(
                "psychoeducation",
                "How mood, thought and action feed each other",
                "imparting-information",
                30,
                None,
                28,
            ),
            item(
                "goal-setting",
                "One goal each that a friend could see",
                "hope",
                15,
                Some("Write your goal on a card"),
                12,
            ),
        ],
        record: "First evening. Norms agreed by all present. The model was taken up quickly; goals are still broad.",
    },
    Evening {
        items: &[
            item("homework-review", "Goals, one sentence each", "altruism", 15, None, 18),
            item(
                "psychoeducation",
                "The circle of doing less and feeling worse",
                "imparting-information",
                20,
                None,
                20,
            ),
            item("activity-scheduling", "Plan the week by the half day", "hope", 40, Some("Keep the activity log"), 40),
            item("closing-round", "One thing to take home", "group-cohesiveness", 15, None, 12),
        ],
        record: "Activity logs introduced. Mornings are hardest for most; small steps were planned in pairs.",
    },
    Evening {
        items: &[
            item("homework-review", "What the logs show", "interpersonal-learning", 25, None, 30),
            item(
                "behavioural-activation",
                "Two activities that used to matter",
                "hope",
                45,
                Some("Do both, rate mood before and after"),
                45,
            ),
            item("closing-round", "One thing to take home", "group-cohesiveness", 20, None, 12),
        ],
        record: "Logs compared. The link between activity and mood was found by the group itself.",
    },
    Evening {
        items: &[
            item("opening-check-in", "A newcomer joins: names and norms again", "group-cohesiveness", 20, None, 25),
            item("homework-review", "Mood before and after", "interpersonal-learning", 20, None, 20),
            item(
                "cognitive-distortions",
                "Name ten habits of thought",
                "imparting-information",
                35,
                Some("Catch three of them"),
                30,
            ),
            item("closing-round", "One thing to take home", "group-cohesiveness", 15, None, 10),
        ],
        record: "Somebody new was welcomed. Habits of thought met with laughter and recognition.",
    },
    Evening {
        items: &[
            item("homework-review", "Three habits caught", "universality", 20, None, 22),
            item(
                "thought-record",
                "Fill in the first three columns",
                "imparting-information",
                50,
                Some("Two thought records"),
                52,
            ),
            item("closing-round", "One thing to take home", "group-cohesiveness", 20, None, 14),
        ],
        record: "Thought records begun. The difference between a thought and a feeling needed several examples.",
    },
    Evening {
        items: &[
            item("homework-review", "Two thought records", "altruism", 20, None, 25),
            item(
                "thought-record",
                "Weigh the evidence for and against",
                "interpersonal-learning",
                40,
                Some("Three thought records"),
                40,
            ),
            item("mindful-breathing", "Ten minutes, seated", "catharsis", 15, None, 0),
            item("closing-round", "One thing to take home", "group-cohesiveness", 15, None, 15),
        ],
        record: "Evidence weighed in pairs. Breathing left out for lack of time.",
    },
    Evening {
        items: &[
            item("progress-review", "Half way: what is different", "hope", 25, None, 30),
            item(
                "cognitive-restructuring",
                "From hot thought to balanced thought",
                "corrective-emotional-experience",
                45,
                Some("One balanced thought a day"),
                40,
            ),
            item("closing-round", "One thing to take home", "group-cohesiveness", 20, None, 15),
        ],
        record: "After a week without a meeting. Half-way review; expectations of the second half were spoken about.",
    },
    Evening {
        items: &[
            item("homework-review", "Balanced thoughts", "imitative-behaviour", 20, None, 20),
            item(
                "behavioural-experiment",
                "Design a test of one prediction",
                "interpersonal-learning",
                50,
                Some("Run the experiment"),
                50,
            ),
            item("closing-round", "One thing to take home", "group-cohesiveness", 20, None, 18),
        ],
        record: "Everybody present left with an experiment on paper, with a date.",
    },
    Evening {
        items: &[
            item("homework-review", "What came of the experiments", "universality", 25, None, 35),
            item(
                "problem-solving",
                "Seven steps on one problem of the group",
                "altruism",
                40,
                Some("First step of your own problem"),
                25,
            ),
            item("safety-planning", "Whom to call, and when", "imparting-information", 10, None, 15),
            item("closing-round", "One thing to take home", "group-cohesiveness", 15, None, 14),
        ],
        record: "A heavy evening. Problem solving cut short for the sake of safety planning, done with the whole group.",
    },
    Evening {
        items: &[
            item("homework-review", "First steps", "altruism", 20, None, 20),
            item("assertiveness-training", "Say no once, kindly", "interpersonal-skills", 25, None, 25),
            item(
                "role-play",
                "A talk that is due",
                "interpersonal-skills",
                30,
                Some("Have the talk, or write it down"),
                30,
            ),
            item("closing-round", "One thing to take home", "group-cohesiveness", 15, None, 13),
        ],
        record: "Role-plays in threes; feedback was warm and exact.",
    },
    Evening {
        items: &[
            item("homework-review", "The talks", "interpersonal-learning", 20, None, 20),
            item(
                "cognitive-restructuring",
                "Rules for living, and kinder ones",
                "corrective-emotional-experience",
                40,
                Some("Live one day by the kinder rule"),
                40,
            ),
            item("relapse-prevention", "Early signs: a first list", "hope", 20, None, 20),
            item("closing-round", "One thing to take home", "group-cohesiveness", 10, None, 10),
        ],
        record: "Rules for living were rewritten in pairs; a first list of early signs.",
    },
    Evening {
        items: &[
            item(
                "relapse-prevention",
                "My plan: signs, steps, people",
                "hope",
                40,
                Some("Show the plan to one person"),
                40,
            ),
            item("progress-review", "From the first evening to the last", "existential-factors", 25, None, 25),
            item("ending-ritual", "A sentence to each other", "group-cohesiveness", 25, None, 25),
        ],
        record: "",
    },
];

/// What happened to one member over the ten evenings that were held.
pub struct Member {
    pub name: &'static str,
    pub sign_in_name: &'static str,
    pub about: &'static str,
    /// One letter for each evening: `A`ttended, `O`nline, `L`ate, left ear`l`y, `E`xcused, `N`o-show, `-` not expected.
    pub attendance: &'static str,
    /// PHQ-9 of each evening, where it was taken.
    pub phq_9: [i32; 10],
    /// GAD-7 of the odd evenings.
    pub gad_7: [i32; 5],
    /// Which complaints weigh how much, in the order of the items of PHQ-9 (without the ninth) and of GAD-7.
    pub complaints: [[i32; 8]; 2],
    /// Answers on their own device before the evening, instead of on paper in it.
    pub answers_alone: bool,
}

pub const ARI: usize = 0;
pub const BEA: usize = 1;
pub const DORA: usize = 3;
pub const EMIL: usize = 4;
pub const FARAH: usize = 5;
pub const GUS: usize = 6;
pub const HANA: usize = 7;

/// The evening (from 1) from which Gus belongs to the group.
pub const GUS_JOINS: usize = 4;
/// The last evening to which Hana came.
pub const HANA_LEAVES: usize = 5;
/// The last evening before which Emil's consent stood.
pub const EMIL_WITHDRAWS: usize = 6;
/// The evening on which Dora's ninth answer is above zero; before session 11 it is again.
pub const DORA_AT_RISK: usize = 9;

pub const MEMBERS: [Member; 8] = [
    Member {
        name: "Ari",
        sign_in_name: "ari.finch",
        about: "member: improves; also in the peer-led group",
        attendance: "AAALAAAEAA",
        phq_9: [19, 18, 18, 16, 15, 13, 11, 11, 8, 6],
        gad_7: [13, 12, 10, 8, 6],
        complaints: [[3, 3, 2, 3, 1, 2, 2, 1], [3, 3, 2, 2, 1, 1, 2, 0]],
        answers_alone: false,
    },
    Member {
        name: "Bea",
        sign_in_name: "bea.lund",
        about: "member: improves early and holds it",
        attendance: "AAAAAAAAAA",
        phq_9: [15, 15, 12, 10, 8, 6, 6, 5, 4, 4],
        gad_7: [9, 7, 5, 4, 4],
        complaints: [[2, 2, 3, 3, 2, 1, 1, 1], [2, 2, 3, 2, 1, 2, 1, 0]],
        answers_alone: false,
    },
    Member {
        name: "Chidi",
        sign_in_name: "chidi.obi",
        about: "member: does not change",
        attendance: "AALAAEAANA",
        phq_9: [14, 13, 15, 14, 13, 14, 14, 13, 14, 13],
        gad_7: [11, 12, 11, 11, 11],
        complaints: [[2, 2, 2, 3, 1, 3, 3, 2], [3, 3, 3, 2, 2, 2, 1, 0]],
        answers_alone: false,
    },
    Member {
        name: "Dora",
        sign_in_name: "dora.weiss",
        about: "member: gets worse; item 9 positive twice, one mark still open",
        attendance: "AAAAALAEAA",
        phq_9: [11, 11, 12, 12, 13, 14, 15, 16, 19, 18],
        gad_7: [8, 9, 10, 12, 14],
        complaints: [[2, 3, 3, 2, 2, 3, 2, 1], [3, 3, 2, 2, 1, 2, 3, 0]],
        answers_alone: true,
    },
    Member {
        name: "Emil",
        sign_in_name: "emil.roth",
        about: "member: consent withdrawn after session 6",
        attendance: "AAAAAAAAEA",
        phq_9: [16, 16, 15, 15, 14, 14, 0, 0, 0, 0],
        gad_7: [10, 10, 9, 0, 0],
        complaints: [[3, 2, 2, 3, 2, 2, 2, 2], [2, 3, 3, 3, 2, 1, 1, 0]],
        answers_alone: false,
    },
    Member {
        name: "Farah",
        sign_in_name: "farah.amin",
        about: "member: improves with a setback; also in the peer-led group",
        attendance: "OAAAEAAAOA",
        phq_9: [17, 16, 14, 13, 13, 12, 16, 13, 11, 9],
        gad_7: [6, 5, 5, 7, 4],
        complaints: [[3, 3, 3, 3, 2, 1, 1, 1], [2, 1, 2, 3, 1, 2, 1, 0]],
        answers_alone: true,
    },
    Member {
        name: "Gus",
        sign_in_name: "gus.larsen",
        about: "member: came at session 4",
        attendance: "---AAAANAA",
        phq_9: [0, 0, 0, 16, 16, 14, 13, 13, 11, 10],
        gad_7: [0, 0, 12, 11, 9],
        complaints: [[2, 3, 1, 3, 1, 3, 2, 2], [3, 2, 2, 3, 2, 2, 2, 0]],
        answers_alone: false,
    },
    Member {
        name: "Hana",
        sign_in_name: "hana.ito",
        about: "former member: left after session 5",
        attendance: "AALEA-----",
        phq_9: [13, 14, 13, 0, 14, 0, 0, 0, 0, 0],
        gad_7: [10, 11, 11, 0, 0],
        complaints: [[2, 3, 2, 2, 1, 3, 1, 1], [3, 2, 3, 2, 1, 1, 2, 0]],
        answers_alone: false,
    },
];

/// A clinical entry about one member, written after an evening and maybe released to them.
pub struct Entry {
    pub evening: usize,
    pub member: usize,
    pub by_trainee: bool,
    pub released: bool,
    pub text: &'static str,
}

const fn entry(evening: usize, member: usize, by_trainee: bool, released: bool, text: &'static str) -> Entry {
    Entry { evening, member, by_trainee, released, text }
}

pub const ENTRIES: [Entry; 9] = [
    entry(1, ARI, false, false, "Low energy, speaks little, stays to the end. Goal: walk to work again."),
    entry(3, ARI, false, true, "Kept the activity log on six days of seven; mood rose on the days with a walk."),
    entry(5, HANA, false, false, "Says that the hour clashes with a new job. Individual sessions offered."),
    entry(6, EMIL, true, false, "Asked who reads the answers. Consent explained again, with time to think it over."),
    entry(7, BEA, true, true, "Three balanced thoughts on paper, one of them read out. Sleep is better."),
    entry(7, GUS, false, false, "Caught up with thought records in two evenings. Warm with the others."),
    entry(
        9,
        DORA,
        false,
        false,
        "Stayed after the session: passive thoughts of death, no plan, no means. Safety plan written together; call agreed for tomorrow.",
    ),
    entry(9, ARI, false, true, "Went back to the choir. Thought record used in the moment, without paper."),
    entry(10, DORA, false, true, "Kept the two calls of the week. Safety plan is on the phone and with a friend."),
];

/// The former course's members: name, attendance of its eight evenings, GAD-7 of each. They came without accounts.
pub const FORMER: [(&str, &str, [i32; 8]); 5] = [
    ("Ines", "AAAAAAAA", [15, 14, 12, 12, 10, 8, 7, 5]),
    ("Jack", "AALAEAAA", [12, 12, 11, 12, 0, 11, 12, 11]),
    ("Kim", "AAAEAAAA", [17, 16, 14, 0, 11, 10, 8, 8]),
    ("Luis", "AANAAALA", [10, 11, 0, 9, 8, 7, 6, 6]),
    ("Mona", "EAAAAAAA", [0, 13, 14, 14, 15, 14, 16, 15]),
];

/// The agenda of the former course's every evening.
pub const FORMER_ITEMS: [Item; 3] = [
    item("homework-review", "What worry took and gave this week", "universality", 20, None, 20),
    item("exposure-hierarchy", "One step on the ladder", "hope", 50, Some("Take the step twice"), 45),
    item("relaxation-training", "Muscle by muscle", "imparting-information", 20, None, 20),
];

/// A goal of a member, and how it was rated after some of the evenings (from 1).
pub struct Goal {
    pub member: usize,
    /// The member's own proposal, or the therapist's.
    pub by_member: bool,
    pub text: &'static str,
    /// From much less to much more than expected.
    pub levels: [&'static str; 5],
    pub weight: i32,
    /// Evening, the member's level, the therapist's.
    pub ratings: &'static [(usize, i32, i32)],
}

/// Two goals, agreed on after the first evening.
pub const GOALS: [Goal; 2] = [
    Goal {
        member: ARI,
        by_member: true,
        text: "Be out of bed by eight and out of the house before noon.",
        levels: ["No day of the week", "One or two days", "Four days", "Five or six days", "Every day"],
        weight: 6,
        ratings: &[(2, -2, -2), (5, -1, -1), (8, 0, 0), (10, 1, 0)],
    },
    Goal {
        member: ARI,
        by_member: false,
        text: "Say what I need to one person a week.",
        levels: ["Nobody in a month", "Somebody in a month", "One person a week", "Two a week", "Whoever is there"],
        weight: 3,
        ratings: &[(5, -2, -1), (10, 0, 0)],
    },
];

/// What became of the homework of an evening (from 1): whose, what was said, and in which words.
pub const REPORTS: [(usize, usize, &str, Option<&str>); 5] = [
    (2, ARI, "partly", Some("Logged the mornings. The evenings look all alike.")),
    (3, ARI, "done", Some("Drew for half an hour. It was a two before and a five after.")),
    (3, BEA, "not_done", None),
    (5, BEA, "done", None),
    (6, ARI, "not_said", None),
];
