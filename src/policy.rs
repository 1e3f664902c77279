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
        /// Keeps a peer-led group going: its settings and its terms. Leads it while nobody else does.
        Steward = "steward",
        /// Leads a peer-led group, or one session of it, for a term.
        Facilitator = "facilitator",
        /// Led it until a while ago: reads what was done then, for a few days.
        FormerFacilitator = "former_facilitator",
        /// Leads one session, seen from the rest of the group.
        SessionFacilitator = "session_facilitator",
        /// Belongs to the group now.
        Member = "member",
        /// Belonged to the group; keeps the right to read what is about oneself.
        FormerMember = "former_member",
        /// Reads, for some hours and in an emergency, what one member of a group of somebody else's has at once to be
        /// known by. Last in the list: the access log's hashes cover a standing's place in it.
        Emergency = "emergency",
    }
}

impl Standing {
    /// Standings that lead a group; the last one of them cannot go.
    pub fn leads(self) -> bool {
        matches!(self, Standing::Therapist | Standing::CoTherapist | Standing::Steward | Standing::Facilitator)
    }

    /// What the standing is, for whoever reads the policy.
    pub fn meaning(self) -> &'static str {
        match self {
            Standing::Administrator => "runs an organization: accounts, licences, settings, rosters; no record content",
            Standing::PrivacyOfficer => {
                "watches over an organization: its access log, and the breach reports and appeals that nobody in a \
                 group may handle"
            }
            Standing::Therapist => "leads a therapist-led group for a term",
            Standing::CoTherapist => "leads beside the therapist for a term",
            Standing::Trainee => "learns in a therapist-led group for a term; a supervisor co-signs",
            Standing::Steward => {
                "keeps a peer-led group going: its settings, rules and terms. While nobody facilitates, and a quarter \
                 of an hour into a session of which nobody has said that it is held, a steward has the rights of a facilitator as well"
            }
            Standing::Facilitator => {
                "leads a peer-led group for a term, with the hours before it to prepare and after it to finish that \
                 the group has set; or one session of it, at the addresses of that session"
            }
            Standing::FormerFacilitator => {
                "facilitated until a while ago: reads what was done then, for the hours that the group has set"
            }
            Standing::SessionFacilitator => "facilitates one session, at every other address of the group",
            Standing::Member => "belongs to the group now",
            Standing::FormerMember => "belonged to the group, or is kept away for a time by its decision",
            Standing::Emergency => {
                "is a therapist or co-therapist of another group of the organization, and has opened an emergency access to \
                 one member's record: for 15 to 240 minutes, with a reason, seen at once and reviewed afterwards by \
                 the privacy officer. Reads who the person is, measures, risk marks, signed entries and progress of \
                 that one member. Process notes, what the clinicians wrote about sessions, other members, exports and \
                 peer-led groups stay closed, and nothing can be changed"
            }
        }
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
    Account {
        ReadOwnAccount, ChangeOwnAccount, AcceptInvitation,
        SendReferral, ExportOwnRecords, EraseOwnRecords, CloseAccount, AppealConsequence,
    }
    Organization {
        ReadOrganization, ChangeOrganization, InviteOfficer, ReadInvitations, RevokeInvitation,
        ReadPeople, SuspendPerson, EndOffice, RecordLicence, VerifyLicence, ReadLicences,
        CreateGroup, ListGroups, ReadAccessLog, ReadTemplates, WriteTemplate,
        ReadOutcomeReport, ReadDisclosures,
        ReadRetentionRules, SetRetentionRules, PreviewRetention, RunRetention,
        OpenEmergencyAccess, ReadEmergencyAccesses, EndEmergencyAccess, ReviewEmergencyAccess,
    }
    Group {
        ReadGroup, ChangeGroup, OpenGroup, CloseGroup,
        ReadTerms, InviteLeader, EndTerm,
        ReadMembers, InviteMember, MoveMember, TransferMember,
        ReadAgreements, PublishAgreement, ReadSignatures, SignAgreement, WithdrawSignature,
        ReadReferrals, AnswerReferral,
        ReadSessions, PlanSession, ChangeSession, CancelSession, HoldSession, WriteAgenda, RecordSession,
        ReadAttendance, CorrectAttendance,
        ReadPeerSettings, ChangePeerSettings,
        ReadRota, ProposeRota, OfferTerm, ReadOffers, AnswerOffer, SetAvailability,
        ReadHandOver, WriteHandOver, ReadServices, RecordService,
        ReadMeeting, RecordMeeting, OpenSessionCode, ClaimVisit, MakeProof, SetAttendanceMode,
        RecordCheckIn, ReadCheckIns, ChangeCheckIn, ReadSharedCheckIns,
        ReadTopics, ProposeTopic, SupportTopic, ChooseTopic, WithdrawTopic,
        ReadTips, GiveTip, WithdrawTip,
        ReportBreach, ReadBreachReports, HandleBreachReport, DecideAppeal, ReadDecisions, CastBallot,
        ReadMeasureSchedule, SetMeasureSchedule, ReadMeasures, RecordMeasure, CorrectMeasure,
        ReadSessionRecord, WriteSessionRecord, SignSessionRecord, CosignSessionRecord,
        ReadProgressEntries, WriteProgressEntry, SignProgressEntry, CosignProgressEntry, ReleaseProgressEntry,
        ReadProcessNotes, WriteProcessNote,
        ReadRisks, AcknowledgeRisk, AssessRisk, AssignRisk, ReadEmergencyNotices,
        ReadPreparation, ReviewMember,
        ReadProgress, ReadGroupProgress, ReadGroupOutcomes,
        ReadGoals, AgreeGoal, RateGoal, SetHomework, ReportHomework,
        ExportMemberRecord, ExportGroupRecord,
        AskForAmendment, ReadAmendments, DecideAmendment, DisputeAmendment,
        ReadHolds, HoldRecord,
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
                // Rules and counts; what a run removes is written member by member.
                | ReadRetentionRules
                | SetRetentionRules
                | ReadGroup
                | ReadTerms
                | ReadAgreements
                | ReadSessions
                | ReadMeasureSchedule
                // Process notes are their author's own.
                | ReadProcessNotes
                | WriteProcessNote
                // One's own, or nobody's in particular.
                | SendReferral
                | ExportOwnRecords
                | EraseOwnRecords
                | CloseAccount
                | AppealConsequence
                | ReadPeerSettings
                | ReadRota
                | ReadTopics
                | ReadTips
                | ReadDecisions
                // An entry with its hour would say who voted when, beside a tally that grew then.
                | CastBallot
                // Who reported is sealed from the group, and from its log.
                | ReportBreach
                // Claimed, shown and supported without a trace of who was where.
                | ClaimVisit
                | MakeProof
                | SupportTopic
                | ProposeTopic
                | GiveTip
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
                | ReadMeeting
                | ReadSharedCheckIns
                | ReadMeasures
                | ReadProgressEntries
                | ReadRisks
                | ReadPreparation
                | ReviewMember
                | ReadGroupProgress
                | ReadGoals
                | ExportGroupRecord
                | ReadAmendments
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
    // What the peers of a group tell each other is opened by no emergency.
    if kind == Kind::PeerLed && standing == Standing::Emergency {
        return None;
    }
    let both = |row: Row| row;
    let only = |of: Kind, row: Row| if kind == of { row } else { [N; Standing::ALL.len()] };
    let therapist_led = |row: Row| only(Kind::TherapistLed, row);
    let peer_led = |row: Row| only(Kind::PeerLed, row);

    #[rustfmt::skip]
    let row = match action {
        // A live sign-in, or none, is all that these ask for: no standing is looked up.
        AskInPublic | ReadOwnAccount | ChangeOwnAccount | AcceptInvitation
        | SendReferral | ExportOwnRecords | EraseOwnRecords | CloseAccount | AppealConsequence
                              => both([ N, N,   N, N, N,   N, N, N, N,   N, N,   N ]),

        // Columns: administrator, privacy officer | therapist, co-therapist, trainee
        //          | steward, facilitator, former facilitator, session facilitator | member, former member | emergency.

        // Organization                 ad pr   th co tr   st fa ff sf   me fm   em
        ReadOrganization      => both([ A, A,   A, A, A,   A, A, N, N,   N, N,   N ]),
        ChangeOrganization    => both([ A, N,   N, N, N,   N, N, N, N,   N, N,   N ]),
        InviteOfficer         => both([ A, N,   N, N, N,   N, N, N, N,   N, N,   N ]),
        ReadInvitations       => both([ A, N,   N, N, N,   N, N, N, N,   N, N,   N ]),
        RevokeInvitation      => both([ A, N,   N, N, N,   N, N, N, N,   N, N,   N ]),
        ReadPeople            => both([ A, N,   N, N, N,   N, N, N, N,   N, N,   N ]),
        SuspendPerson         => both([ A, N,   N, N, N,   N, N, N, N,   N, N,   N ]),
        EndOffice             => both([ A, O,   N, N, N,   N, N, N, N,   N, N,   N ]),
        RecordLicence         => both([ A, N,   N, N, N,   N, N, N, N,   N, N,   N ]),
        VerifyLicence         => both([ A, N,   N, N, N,   N, N, N, N,   N, N,   N ]),
        ReadLicences          => both([ A, N,   O, O, O,   N, N, N, N,   N, N,   N ]),
        CreateGroup           => both([ A, N,   N, N, N,   N, N, N, N,   N, N,   N ]),
        ListGroups            => both([ A, A,   N, N, N,   N, N, N, N,   N, N,   N ]),
        ReadAccessLog         => both([ N, A,   N, N, N,   N, N, N, N,   N, N,   N ]),
        ReadTemplates         => both([ N, N,   A, A, A,   N, N, N, N,   N, N,   N ]),
        WriteTemplate         => both([ N, N,   A, A, A,   N, N, N, N,   N, N,   N ]),

        ReadOutcomeReport     => both([ A, A,   N, N, N,   N, N, N, N,   N, N,   N ]),
        ReadDisclosures       => both([ N, A,   N, N, N,   N, N, N, N,   N, N,   N ]),
        // Opened by clinicians alone; judged by the privacy officer, and kept from the administrator: the reason says
        // something about a person.
        OpenEmergencyAccess   => both([ N, N,   O, O, N,   N, N, N, N,   N, N,   N ]),
        ReadEmergencyAccesses => both([ N, A,   O, O, N,   N, N, N, N,   N, N,   N ]),
        EndEmergencyAccess    => both([ N, A,   O, O, N,   N, N, N, N,   N, N,   N ]),
        ReviewEmergencyAccess => both([ N, A,   N, N, N,   N, N, N, N,   N, N,   N ]),
        ReadRetentionRules    => both([ A, A,   N, N, N,   N, N, N, N,   N, N,   N ]),
        SetRetentionRules     => both([ A, N,   N, N, N,   N, N, N, N,   N, N,   N ]),
        PreviewRetention      => both([ A, A,   N, N, N,   N, N, N, N,   N, N,   N ]),
        RunRetention          => both([ A, N,   N, N, N,   N, N, N, N,   N, N,   N ]),

        // Group, its people            ad pr   th co tr   st fa ff sf   me fm   em
        ReadGroup             => both([ A, N,   A, A, A,   A, A, A, A,   A, N,   N ]),
        ChangeGroup           => both([ A, N,   A, N, N,   A, A, N, N,   N, N,   N ]),
        OpenGroup             => both([ A, N,   A, N, N,   A, A, N, N,   N, N,   N ]),
        CloseGroup            => both([ A, N,   A, N, N,   A, A, N, N,   N, N,   N ]),
        ReadTerms             => both([ A, N,   A, A, A,   A, A, A, A,   A, N,   N ]),
        InviteLeader          => both([ A, N,   A, N, N,   A, A, N, N,   N, N,   N ]),
        EndTerm               => both([ A, N,   A, O, O,   O, O, N, O,   N, N,   N ]),
        ReadMembers           => both([ A, N,   A, A, A,   A, A, N, N,   O, O,   O ]),
        InviteMember          => both([ A, N,   A, A, N,   A, A, N, N,   N, N,   N ]),
        MoveMember            => both([ A, N,   A, A, N,   A, A, N, N,   O, N,   N ]),
        // From a peer-led group nobody sends another away: its members ask for a referral.
        TransferMember => therapist_led([ A, N, A, N, N,   N, N, N, N,   N, N,   N ]),
        ReadAgreements        => both([ A, N,   A, A, A,   A, A, A, A,   A, A,   N ]),
        PublishAgreement      => both([ N, N,   A, N, N,   A, A, N, N,   N, N,   N ]),
        ReadSignatures        => both([ A, A,   A, A, A,   A, A, N, N,   O, O,   N ]),
        SignAgreement         => both([ N, N,   A, A, N,   N, N, N, N,   O, N,   N ]),
        WithdrawSignature     => both([ N, N,   A, A, N,   N, N, N, N,   O, O,   N ]),
        ReadReferrals => therapist_led([ N, N,  A, A, N,   N, N, N, N,   N, N,   N ]),
        AnswerReferral => therapist_led([ N, N, A, A, N,   N, N, N, N,   N, N,   N ]),

        // Group, its sessions          ad pr   th co tr   st fa ff sf   me fm   em
        ReadSessions          => both([ N, N,   A, A, A,   A, A, A, A,   A, N,   N ]),
        PlanSession           => both([ N, N,   A, A, A,   A, A, N, N,   N, N,   N ]),
        ChangeSession         => both([ N, N,   A, A, A,   A, A, N, N,   N, N,   N ]),
        CancelSession         => both([ N, N,   A, A, N,   A, A, N, N,   N, N,   N ]),
        HoldSession           => both([ N, N,   A, A, A,   N, A, N, N,   N, N,   N ]),
        WriteAgenda  => therapist_led([ N, N,   A, A, A,   N, N, N, N,   N, N,   N ]),
        RecordSession => therapist_led([ N, N,  A, A, A,   N, N, N, N,   N, N,   N ]),
        ReadAttendance        => both([ N, N,   A, A, A,   N, A, A, N,   O, O,   N ]),
        CorrectAttendance => therapist_led([ N, N, A, A, A, N, N, N, N,  N, N,   N ]),

        // Peer-led group, its leadership   ad pr   th co tr   st fa ff sf   me fm   em
        ReadPeerSettings  => peer_led([ A, N,   N, N, N,   A, A, A, A,   A, N,   N ]),
        ChangePeerSettings => peer_led([ A, N,  N, N, N,   A, N, N, N,   N, N,   N ]),
        ReadRota          => peer_led([ N, N,   N, N, N,   A, A, N, A,   A, N,   N ]),
        ProposeRota       => peer_led([ N, N,   N, N, N,   A, A, N, N,   N, N,   N ]),
        OfferTerm         => peer_led([ N, N,   N, N, N,   A, A, N, N,   O, N,   N ]),
        ReadOffers        => peer_led([ N, N,   N, N, N,   A, A, N, N,   O, N,   N ]),
        AnswerOffer       => peer_led([ N, N,   N, N, N,   N, N, N, N,   O, N,   N ]),
        SetAvailability   => peer_led([ N, N,   N, N, N,   N, N, N, N,   O, N,   N ]),
        ReadHandOver      => peer_led([ N, N,   N, N, N,   A, A, N, N,   N, N,   N ]),
        WriteHandOver     => peer_led([ N, N,   N, N, N,   N, A, N, N,   N, N,   N ]),
        ReadServices      => peer_led([ N, N,   N, N, N,   N, N, N, N,   O, O,   N ]),
        RecordService     => peer_led([ N, N,   N, N, N,   N, N, N, N,   O, N,   N ]),

        // Peer-led group, its meetings     ad pr   th co tr   st fa ff sf   me fm   em
        ReadMeeting       => peer_led([ N, N,   N, N, N,   N, A, A, N,   N, N,   N ]),
        RecordMeeting     => peer_led([ N, N,   N, N, N,   N, A, N, N,   N, N,   N ]),
        OpenSessionCode   => peer_led([ N, N,   N, N, N,   N, A, N, N,   N, N,   N ]),
        ClaimVisit        => peer_led([ N, N,   N, N, N,   N, N, N, N,   O, N,   N ]),
        MakeProof         => peer_led([ N, N,   N, N, N,   N, N, N, N,   O, N,   N ]),
        SetAttendanceMode => peer_led([ N, N,   N, N, N,   N, N, N, N,   O, N,   N ]),

        // Peer-led group, its members      ad pr   th co tr   st fa ff sf   me fm   em
        RecordCheckIn     => peer_led([ N, N,   N, N, N,   N, N, N, N,   O, N,   N ]),
        ReadCheckIns      => peer_led([ N, N,   N, N, N,   N, N, N, N,   O, O,   N ]),
        ChangeCheckIn     => peer_led([ N, N,   N, N, N,   N, N, N, N,   O, O,   N ]),
        ReadSharedCheckIns => peer_led([ N, N,  N, N, N,   N, A, N, A,   A, N,   N ]),
        ReadTopics        => peer_led([ N, N,   N, N, N,   A, A, N, A,   A, N,   N ]),
        ProposeTopic      => peer_led([ N, N,   N, N, N,   N, N, N, N,   A, N,   N ]),
        SupportTopic      => peer_led([ N, N,   N, N, N,   N, N, N, N,   A, N,   N ]),
        ChooseTopic       => peer_led([ N, N,   N, N, N,   A, A, N, N,   N, N,   N ]),
        WithdrawTopic     => peer_led([ N, N,   N, N, N,   A, A, N, N,   O, O,   N ]),
        ReadTips          => peer_led([ N, N,   N, N, N,   A, A, N, A,   A, N,   N ]),
        GiveTip           => peer_led([ N, N,   N, N, N,   N, N, N, N,   A, N,   N ]),
        WithdrawTip       => peer_led([ N, N,   N, N, N,   A, A, N, N,   O, O,   N ]),

        // When trust breaks: a report is its handlers' own.
        //                              ad pr   th co tr   st fa ff sf   me fm   em
        ReportBreach          => both([ O, N,   O, O, O,   O, O, O, O,   O, O,   N ]),
        ReadBreachReports     => both([ N, O,   N, N, N,   O, O, N, N,   N, N,   N ]),
        HandleBreachReport    => both([ N, O,   N, N, N,   O, O, N, N,   N, N,   N ]),
        DecideAppeal      => peer_led([ N, A,   N, N, N,   N, N, N, N,   N, N,   N ]),
        ReadDecisions     => peer_led([ N, N,   N, N, N,   A, A, N, N,   A, N,   N ]),
        CastBallot        => peer_led([ N, N,   N, N, N,   N, N, N, N,   O, N,   N ]),

        // Group, its measures          ad pr   th co tr   st fa ff sf   me fm   em
        ReadMeasureSchedule => therapist_led([ N, N, A, A, A, N, N, N, N, A, N,   N ]),
        SetMeasureSchedule => therapist_led([ N, N,  A, A, N, N, N, N, N, N, N,   N ]),
        ReadMeasures => therapist_led([ N, N,   A, A, A,   N, N, N, N,   O, O,   O ]),
        RecordMeasure => therapist_led([ N, N,  A, A, A,   N, N, N, N,   O, N,   N ]),
        CorrectMeasure => therapist_led([ N, N, A, A, N,   N, N, N, N,   N, N,   N ]),


        // Group, what became of it     ad pr   th co tr   st fa ff sf   me fm   em
        ReadRisks     => therapist_led([ N, N,  A, A, A,   N, N, N, N,   N, N,   O ]),
        AcknowledgeRisk => therapist_led([ N, N, A, A, A,  N, N, N, N,   N, N,   N ]),
        AssessRisk    => therapist_led([ N, N,  A, A, N,   N, N, N, N,   N, N,   N ]),
        AssignRisk    => therapist_led([ N, N,  A, A, N,   N, N, N, N,   N, N,   N ]),
        ReadEmergencyNotices => therapist_led([ N, N, A, A, N, N, N, N, N, N, N,  N ]),
        ReadPreparation => therapist_led([ N, N, A, A, A,  N, N, N, N,   N, N,   N ]),
        ReviewMember  => therapist_led([ N, N,  A, A, A,   N, N, N, N,   N, N,   N ]),
        ReadProgress  => therapist_led([ N, N,  A, A, A,   N, N, N, N,   O, O,   O ]),
        ReadGroupProgress => therapist_led([ N, N, A, A, A, N, N, N, N,  N, N,   N ]),
        ReadGroupOutcomes     => both([ N, N,   A, A, A,   A, A, N, N,   N, N,   N ]),
        ReadGoals     => therapist_led([ N, N,  A, A, A,   N, N, N, N,   O, O,   N ]),
        AgreeGoal     => therapist_led([ N, N,  A, A, N,   N, N, N, N,   O, N,   N ]),
        RateGoal      => therapist_led([ N, N,  A, A, N,   N, N, N, N,   O, N,   N ]),
        SetHomework   => therapist_led([ N, N,  A, A, A,   N, N, N, N,   N, N,   N ]),
        ReportHomework => therapist_led([ N, N, A, A, A,   N, N, N, N,   O, N,   N ]),
        ExportMemberRecord => therapist_led([ N, N, A, A, N, N, N, N, N, N, N,   N ]),
        ExportGroupRecord => therapist_led([ N, N, A, N, N, N, N, N, N,  N, N,   N ]),
        AskForAmendment => therapist_led([ N, N, N, N, N,  N, N, N, N,   O, O,   N ]),
        ReadAmendments => therapist_led([ N, N, A, A, A,   N, N, N, N,   O, O,   N ]),
        DecideAmendment => therapist_led([ N, N, A, A, N,  N, N, N, N,   N, N,   N ]),
        DisputeAmendment => therapist_led([ N, N, N, N, N, N, N, N, N,   O, O,   N ]),
        ReadHolds     => therapist_led([ N, A,  A, A, N,   N, N, N, N,   N, N,   N ]),
        HoldRecord    => therapist_led([ N, A,  A, N, N,   N, N, N, N,   N, N,   N ]),

        // Group, its notes             ad pr   th co tr   st fa ff sf   me fm   em
        ReadSessionRecord => therapist_led([ N, N,    A, A, A, N, N, N, N, N, N,   N ]),
        WriteSessionRecord => therapist_led([ N, N,   A, A, A, N, N, N, N, N, N,   N ]),
        SignSessionRecord => therapist_led([ N, N,    A, A, O, N, N, N, N, N, N,   N ]),
        CosignSessionRecord => therapist_led([ N, N,  A, A, N, N, N, N, N, N, N,   N ]),
        ReadProgressEntries => therapist_led([ N, N,  A, A, A, N, N, N, N, O, O,   O ]),
        WriteProgressEntry => therapist_led([ N, N,   A, A, A, N, N, N, N, N, N,   N ]),
        SignProgressEntry => therapist_led([ N, N,    O, O, O, N, N, N, N, N, N,   N ]),
        CosignProgressEntry => therapist_led([ N, N,  A, A, N, N, N, N, N, N, N,   N ]),
        ReleaseProgressEntry => therapist_led([ N, N, A, A, N, N, N, N, N, N, N,   N ]),
        // Process notes belong to their author alone.
        ReadProcessNotes => therapist_led([ N, N,     O, O, O, N, N, N, N, N, N,   N ]),
        WriteProcessNote => therapist_led([ N, N,     O, O, O, N, N, N, N, N, N,   N ]),
    };
    row[standing as usize]
}
