//! Who may do what: standings, actions, reach, and the one table that joins them. Pure, no I/O.

use crate::words;

words! {
    /// What a group is: it decides which rows of the table apply.
    pub enum Kind {
        TherapistLed = "therapist_led",
        PeerLed = "peer_led",
    }
}

words! {
    /// What a person is to a group or an organization at this moment.
    pub enum Standing {
        /// Runs an organization: accounts, licences, settings, rosters. No record content.
        Administrator = "administrator",
        /// Watches over an organization: the access log. No record content.
        PrivacyOfficer = "privacy_officer",
        /// Leads a therapist-led group for a term.
        Therapist = "therapist",
        /// Leads beside the therapist for a term.
        CoTherapist = "co_therapist",
        /// Learns in a group for a term; a supervisor co-signs.
        Trainee = "trainee",
        /// Leads a peer-led group for a term.
        Facilitator = "facilitator",
        /// Belongs to the group now.
        Member = "member",
        /// Belonged to the group; keeps the right to read what is about oneself.
        FormerMember = "former_member",
    }
}

impl Standing {
    /// Standings that lead a group; the last one of them cannot go.
    pub fn leads(self) -> bool {
        matches!(self, Standing::Therapist | Standing::CoTherapist | Standing::Facilitator)
    }

    /// Standings that come with a term in a group.
    pub fn is_term(self) -> bool {
        self.leads() || self == Standing::Trainee
    }

    /// Standings that come with an office in an organization.
    pub fn is_office(self) -> bool {
        matches!(self, Standing::Administrator | Standing::PrivacyOfficer)
    }
}

/// Which rows a permit reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// Only rows about oneself, or written by oneself.
    Own,
    /// Every row of the group or organization.
    All,
}

words! {
    /// Where an action happens, and so which standings are looked up for it.
    pub enum Area {
        /// Nobody is asked who they are.
        Public = "public",
        /// One's own account; a live sign-in is enough.
        Account = "account",
        Organization = "organization",
        Group = "group",
    }
}

/// An action as a type, so that a permit for one cannot be spent on another.
pub trait Act: Send + 'static {
    const ACTION: Action;
}

/// The areas as marks on actions: only an action in a group can be authorized in one.
pub mod area {
    pub trait Public: super::Act {}
    pub trait Account: super::Act {}
    pub trait Organization: super::Act {}
    pub trait Group: super::Act {}
}

macro_rules! actions {
    ($($area:ident { $($action:ident),+ $(,)? })+) => {
        /// What somebody can ask to do. Named like the handler.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Action { $($($action),+),+ }

        impl Action {
            pub const ALL: &'static [Action] = &[$($(Action::$action),+),+];

            pub fn area(self) -> Area {
                match self { $($(Action::$action)|+ => Area::$area),+ }
            }

            pub fn as_str(self) -> &'static str {
                match self { $($(Action::$action => stringify!($action)),+),+ }
            }
        }

        /// The actions as types.
        pub mod act {
            use super::{Act, Action};
            $($(
                #[derive(Debug)]
                pub struct $action;
                impl Act for $action { const ACTION: Action = Action::$action; }
                impl super::area::$area for $action {}
            )+)+
        }
    };
}

actions! {
    Public { AskInPublic }
    Account { ReadOwnAccount, ChangeOwnAccount, AcceptInvitation }
    Organization {
        ReadOrganization, ChangeOrganization, InviteOfficer, ReadInvitations, RevokeInvitation,
        ReadPeople, SuspendPerson, EndOffice, RecordLicence, VerifyLicence, ReadLicences,
        CreateGroup, ListGroups, ReadAccessLog, ReadTemplates, WriteTemplate,
    }
    Group {
        ReadGroup, ChangeGroup, OpenGroup, CloseGroup,
        ReadTerms, InviteLeader, EndTerm,
        ReadMembers, InviteMember, MoveMember, TransferMember,
        ReadAgreements, PublishAgreement, ReadSignatures, SignAgreement, WithdrawSignature,
        ReadSessions, PlanSession, ChangeSession, CancelSession, HoldSession, WriteAgenda, RecordSession,
        ReadAttendance, CorrectAttendance,
        ReadMeasureSchedule, SetMeasureSchedule, ReadMeasures, RecordMeasure, CorrectMeasure,
        ReadSessionRecord, WriteSessionRecord, SignSessionRecord, CosignSessionRecord,
        ReadProgressEntries, WriteProgressEntry, SignProgressEntry, CosignProgressEntry, ReleaseProgressEntry,
        ReadProcessNotes, WriteProcessNote,
    }
}

impl Action {
    /// Whether the action touches somebody's record, so that doing it beyond one's own rows is written to the
    /// access log. Refused attempts are written whatever the action.
    pub fn touches_records(self) -> bool {
        use Action::*;
        !matches!(
            self,
            AskInPublic
                | ReadOwnAccount
                | ChangeOwnAccount
                | AcceptInvitation
                | ReadOrganization
                | ListGroups
                | ReadTemplates
                | WriteTemplate
                | ReadGroup
                | ReadTerms
                | ReadAgreements
                | ReadSessions
                | ReadMeasureSchedule
                // Process notes are their author's own.
                | ReadProcessNotes
                | WriteProcessNote
        )
    }
}

impl Action {
    /// Whether the action, done for a whole group, opens records of each of its members: such entries of the access
    /// log concern them all.
    pub fn opens_members_records(self) -> bool {
        use Action::*;
        matches!(
            self,
            ReadMembers
                | ReadSignatures
                | ReadAttendance
                | ReadMeasures
                | ReadProgressEntries
                | RecordSession
                | RecordMeasure
        )
    }
}

const N: Option<Reach> = None;
const O: Option<Reach> = Some(Reach::Own);
const A: Option<Reach> = Some(Reach::All);

/// One answer for each standing, in the order of [`Standing::ALL`].
type Row = [Option<Reach>; Standing::ALL.len()];

/// Who may do what, and how far. `kind` is that of the group; for the other areas it does not matter.
///
/// A new action or a new standing does not compile until this table answers it.
pub fn decide(kind: Kind, standing: Standing, action: Action) -> Option<Reach> {
    use Action::*;
    let both = |row: Row| row;
    let therapist_led = |row: Row| if kind == Kind::TherapistLed { row } else { [N; Standing::ALL.len()] };

    #[rustfmt::skip]
    let row = match action {
        // A live sign-in, or none, is all that these ask for: no standing is looked up.
        AskInPublic | ReadOwnAccount | ChangeOwnAccount | AcceptInvitation => both([N, N, N, N, N, N, N, N]),

        // Organization               admin privacy therap. co-th. trainee facil. member former
        ReadOrganization     => both([ A,    A,      A,      A,     A,      A,     N,     N ]),
        ChangeOrganization   => both([ A,    N,      N,      N,     N,      N,     N,     N ]),
        InviteOfficer        => both([ A,    N,      N,      N,     N,      N,     N,     N ]),
        ReadInvitations      => both([ A,    N,      N,      N,     N,      N,     N,     N ]),
        RevokeInvitation     => both([ A,    N,      N,      N,     N,      N,     N,     N ]),
        ReadPeople           => both([ A,    N,      N,      N,     N,      N,     N,     N ]),
        SuspendPerson        => both([ A,    N,      N,      N,     N,      N,     N,     N ]),
        EndOffice            => both([ A,    O,      N,      N,     N,      N,     N,     N ]),
        RecordLicence        => both([ A,    N,      N,      N,     N,      N,     N,     N ]),
        VerifyLicence        => both([ A,    N,      N,      N,     N,      N,     N,     N ]),
        ReadLicences         => both([ A,    N,      O,      O,     O,      N,     N,     N ]),
        CreateGroup          => both([ A,    N,      N,      N,     N,      N,     N,     N ]),
        ListGroups           => both([ A,    N,      N,      N,     N,      N,     N,     N ]),
        ReadAccessLog        => both([ N,    A,      N,      N,     N,      N,     N,     N ]),
        ReadTemplates        => both([ N,    N,      A,      A,     A,      N,     N,     N ]),
        WriteTemplate        => both([ N,    N,      A,      A,     A,      N,     N,     N ]),

        // Group, its people           admin privacy therap. co-th. trainee facil. member former
        ReadGroup            => both([ A,    N,      A,      A,     A,      A,     A,     N ]),
        ChangeGroup          => both([ A,    N,      A,      N,     N,      A,     N,     N ]),
        OpenGroup            => both([ A,    N,      A,      N,     N,      A,     N,     N ]),
        CloseGroup           => both([ A,    N,      A,      N,     N,      A,     N,     N ]),
        ReadTerms            => both([ A,    N,      A,      A,     A,      A,     A,     N ]),
        InviteLeader         => both([ A,    N,      A,      N,     N,      A,     N,     N ]),
        EndTerm              => both([ A,    N,      A,      O,     O,      O,     N,     N ]),
        ReadMembers          => both([ A,    N,      A,      A,     A,      A,     O,     O ]),
        InviteMember         => both([ A,    N,      A,      A,     N,      A,     N,     N ]),
        MoveMember           => both([ A,    N,      A,      A,     N,      A,     O,     N ]),
        TransferMember       => both([ A,    N,      A,      N,     N,      N,     N,     N ]),
        ReadAgreements       => both([ A,    N,      A,      A,     A,      A,     A,     A ]),
        PublishAgreement     => both([ N,    N,      A,      N,     N,      A,     N,     N ]),
        ReadSignatures       => both([ A,    A,      A,      A,     A,      A,     O,     O ]),
        SignAgreement        => both([ N,    N,      A,      A,     N,      N,     O,     N ]),
        WithdrawSignature    => both([ N,    N,      A,      A,     N,      N,     O,     O ]),

        // Group, its sessions         admin privacy therap. co-th. trainee facil. member former
        ReadSessions         => both([ N,    N,      A,      A,     A,      A,     A,     N ]),
        PlanSession          => both([ N,    N,      A,      A,     A,      A,     N,     N ]),
        ChangeSession        => both([ N,    N,      A,      A,     A,      A,     N,     N ]),
        CancelSession        => both([ N,    N,      A,      A,     N,      A,     N,     N ]),
        HoldSession          => both([ N,    N,      A,      A,     A,      A,     N,     N ]),
        WriteAgenda => therapist_led([ N,    N,      A,      A,     A,      N,     N,     N ]),
        RecordSession => therapist_led([N,   N,      A,      A,     A,      N,     N,     N ]),
        ReadAttendance       => both([ N,    N,      A,      A,     A,      A,     O,     O ]),
        CorrectAttendance => therapist_led([N, N,    A,      A,     A,      N,     N,     N ]),

        // Group, its measures         admin privacy therap. co-th. trainee facil. member former
        ReadMeasureSchedule => therapist_led([N, N,  A,      A,     A,      N,     A,     N ]),
        SetMeasureSchedule  => therapist_led([N, N,  A,      A,     N,      N,     N,     N ]),
        ReadMeasures        => therapist_led([N, N,  A,      A,     A,      N,     O,     O ]),
        RecordMeasure       => therapist_led([N, N,  A,      A,     A,      N,     O,     N ]),
        CorrectMeasure      => therapist_led([N, N,  A,      A,     N,      N,     N,     N ]),

        // Group, its notes            admin privacy therap. co-th. trainee facil. member former
        ReadSessionRecord   => therapist_led([N, N,  A,      A,     A,      N,     N,     N ]),
        WriteSessionRecord  => therapist_led([N, N,  A,      A,     A,      N,     N,     N ]),
        SignSessionRecord   => therapist_led([N, N,  A,      A,     O,      N,     N,     N ]),
        CosignSessionRecord => therapist_led([N, N,  A,      A,     N,      N,     N,     N ]),
        ReadProgressEntries => therapist_led([N, N,  A,      A,     A,      N,     O,     O ]),
        WriteProgressEntry  => therapist_led([N, N,  A,      A,     A,      N,     N,     N ]),
        SignProgressEntry   => therapist_led([N, N,  O,      O,     O,      N,     N,     N ]),
        CosignProgressEntry => therapist_led([N, N,  A,      A,     N,      N,     N,     N ]),
        ReleaseProgressEntry => therapist_led([N, N, A,      A,     N,      N,     N,     N ]),
        // Process notes belong to their author alone.
        ReadProcessNotes    => therapist_led([N, N,  O,      O,     O,      N,     N,     N ]),
        WriteProcessNote    => therapist_led([N, N,  O,      O,     O,      N,     N,     N ]),
    };
    row[standing as usize]
}
