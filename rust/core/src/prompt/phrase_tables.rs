//! The phrases themselves; the notation is that of [`super::phrases`].
//!
//! None of them holds a negation, a number or a word that carries a condition, so none can take one away.

/// Rules of level *light*, by name.
pub(super) const LIGHT: &[(&str, &str)] = &[
    (
        "politeness",
        "
        please
        kindly >base
        ^ please? note|remember that !so
        ^ please? be aware|mindful of the fact that !so
        ^ please? be aware|advised that !so
        ^ please? keep|bear in mind that !so
        ^ please? keep|bear in mind the fact that !so
        please? note|remember that !so
        ^ it should be noted that
        ^ hello|hi|hey there? , !world
        ^ thank you , and please? >base
        ^ thanks , and please? >base
        , and i|we would be very? grateful|thankful if you could help|assist me|us with that|this
        ^ as you may|might|probably? know ,
        ^ if you could ,
        ^ i|we would|'d like|love to? ask? you to please? go? ahead? and? >base
        ^ i|we want|need you to please? go? ahead? and? >base
        ^ i'd like|love to? ask? you to please? >base
        ^ what i|we want|need is for you to please? >base
        ^ what i|we would? want|need|like you to do is to? please? >base
        i|we would? like|want|need you to please? >base
        explain to me|us => explain
        show to me|us => show
        provide me|us with => provide
        for me $
        ^ i|we was|were wondering if|whether you could|can please? possibly? >base
        ^ i|we would|will|really? really? appreciate it if you could please? also? >base
        ^ i|we would really? appreciate it if you could please? also? >base
        ^ i|we would be very|really? grateful|thankful if you could please? also? >base
        ^ i'd be very|really? grateful|thankful if you could please? also? >base
        ^ i'd really? appreciate it if you could please? also? >base
        ^ it would|will be really|very|so? great|nice|helpful|good|wonderful if you could please? also? always? >base
        ^ would|could|can you please|kindly|possibly help|assist me in|with >base
        ^ would|could|can you please|kindly|possibly? help me to? >base
        would|could|can you please|kindly|possibly >base
        ^ i|we would|'d like to ask you to >base
        ^ please? go ahead and >base
        go ahead and >base
        ^ please? help|assist me to? >base
        ^ please? help|assist us to? >base
        ^ please? feel free to ignore => ignore
        ^ first of all , => first,
        ^ first of all => first
        ^ basically|essentially|actually|obviously|clearly|simply ,
        ^ basically|actually >base
        ",
    ),
    (
        "imperative",
        "
        ^ your|the main|primary|overall? task|job|goal|objective|role|responsibility|aim|duty is to please? carefully|simply|always? >base
        ^ it is your job|task|responsibility|duty to >base
        ^ the goal|aim|purpose|objective of this task|prompt is to >base
        ^ in this task|conversation|session ,
        ^ in this task|conversation|session you => you
        ^ you are|will be? required|expected|instructed|supposed to >base
        ^ you are asked to >base
        ^ your task will be to >base
        ^ please? make|be sure|certain that? you always >base => always
        ^ please? make|be sure|certain that? you >base
        ^ please? make|be sure|certain to please? >base
        ^ please? make absolutely|very|really sure|certain that? you >base
        ^ please? make absolutely|very|really sure|certain that? !of|to|about => ensure
        ^ please? ensure that? you always? >base
        ^ also , please? make sure to >base => also
        , and please make sure to >base => , and
        and please make|be sure to >base => and
        and please make sure that? you >base => and
        so please make sure that? you >base => so
        but please make sure that? you >base => but
        please make|be sure to >base
        please make sure that? you >base
        ^ please? also make sure to >base => also
        ^ please? also make sure that? !of|to|about => also ensure
        ^ please? always make sure that? you >base => always
        ^ please? try to make sure that? !of|to|about => try to ensure
        ^ please? make sure that? !of|to|about => ensure
        ^ please? be sure that? => ensure
        ^ please? ensure that => ensure
        make sure that? !of|to|about => ensure
        makes sure that? !of|to|about => ensures
        ensure that => ensure
        ^ it is also? very|really|extremely|absolutely|critically? important|essential|crucial|vital|critical|imperative to|for me? that you >base
        ^ it is also? very|really|extremely|absolutely|critically? important|essential|crucial|vital|critical|imperative that you >base
        ^ it is of the? utmost|great|critical|highest importance that you >base
        ^ it is also? very|really|extremely|absolutely|critically? important|essential|crucial|vital|critical|imperative to make sure that? !of|to|about => ensure
        ^ it is also? very|really|extremely|absolutely|critically? important|essential|crucial|vital|critical|imperative to >base
        ^ it is also? very|really|extremely|absolutely|critically? important|essential|crucial|vital|critical|imperative that => ensure
        ^ it is of the? utmost|great|critical|highest importance that => ensure
        , and it is very|really|extremely? important that => , and ensure
        ^ please? be very|really? careful to >base => carefully
        ^ please? be very|really? careful to make sure that? !of|to|about => ensure
        ^ please? remember|be sure to >base
        ^ please? take a very|really? careful|close? look at => review
        ^ please? have a look at => look at
        take a very|really? careful|close? look at => look at
        ^ you should always >base => you should always
        you will be given|provided with? => you get
        you are going to be given|provided with? => you get
        ^ it is also? very|really|extremely? important to|for me|us that you >base
        ^ it is also? very|really|extremely? important to|for me|us that => ensure
        i|we am|are going to provide you with => you get
        i|we will provide|give you with? => you get
        i'm going to provide|give you with? => you get
        ^ i want|need you to act as => act as
        ^ i|we would like you to act as => act as
        take on the role of => act as
        ^ provide an|the? answer to => answer
        ^ please? write|provide a response to => respond to
        provide|give me|us? with? an explanation of => explain
        provide|give me|us? with? a summary of => summarize
        provide|give me|us? with? a description of => describe
        provide|give me|us? with? a list of => list
        perform|conduct|carry out? an analysis of => analyze
        make a decision about|on => decide on
        ",
    ),
    (
        "wordy",
        "
        in order to => to
        so as to => to
        in order for => for
        in the event that => if
        in the case that => if
        in case that => if
        in situations where => when
        in cases where => when
        due to the fact that => because
        because of the fact that => because
        owing to the fact that => because
        on account of the fact that => because
        in view|light of the fact that => because
        for the reason that => because
        despite the fact that => although
        in spite of the fact that => although
        regardless of the fact that => although
        mention the fact that => mention that
        consider the fact that => consider that
        note the fact that => note that
        ignore the fact that => ignore that
        explain the fact that => explain that
        state the fact that => state that
        into account the fact that => into account that
        for the purpose of this task ,
        for the purpose|purposes of => for
        for this purpose => for this
        with the exception of => except
        with regard|regards to => on
        in regard|regards to => on
        in|with reference to => about
        is|are in the form of a => is a
        is|are in the form of an => is an
        in the form of a => as a
        in the form of an => as an
        in the form of => as
        in the following form|format : => as:
        in such a way|manner that => so that
        in a polite and professional manner|way => politely and professionally
        in a polite manner|way => politely
        in a professional manner|way => professionally
        in a careful manner|way => carefully
        in a fair manner|way => fairly
        in an accurate manner|way => accurately
        in an automatic|automated manner|way => automatically
        in a clear manner|way => clearly
        in a concise manner|way => concisely
        in a consistent manner|way => consistently
        in a timely manner => promptly
        by means of => by
        by making use of => using
        by using only => using only
        making use of => using
        make use of => use
        makes use of => uses
        made use of => used
        on the basis of => based on
        take into account|consideration => consider
        taking into account|consideration => considering
        as well as !you|i|we|they|he|she|it|possible|can => and
        together with => with
        in addition to that ,? => also,
        in addition to this ,? => also,
        in addition , => also,
        at this point in time => now
        at this moment in time => now
        at the present time|moment => currently
        at the current time|moment => currently
        for the time being => for now
        at all times => always
        on a regular basis => regularly
        on a daily basis => daily
        on a weekly basis => weekly
        on a monthly basis => monthly
        at regular intervals => regularly
        a large|great|huge number of => many
        a number of >noun => several
        a variety of => various
        a wide range|variety of => many
        the vast? majority of => most
        a sufficient amount of => enough
        a total of >number
        is|are only able to => can only
        is able to => can
        are able to => can
        has the ability|capability to => can
        have the ability|capability to => can
        is|are going to be => will be
        is|are going to >base => will
        until such time as => until
        prior to => before
        subsequent to => after
        in spite of => despite
        in comparison to|with => compared to
        in close proximity to => near
        in the vicinity of => near
        in the absence of => without
        in accordance with => per
        in conjunction with => with
        each and every => every
        any and all => all
        first and foremost => first
        null and void => void
        all of the => all the
        at the very end => at the end
        future plans => plans
        past history => history
        completely eliminate => eliminate
        exact same => same
        come up with => create
        find out => determine
        figure out => determine
        get rid of => remove
        ^ put together => create
        what it is that => what
        the way in which => how
        the manner in which => how
        the extent to which => how far
        the question of whether => whether
        as to whether => whether
        as to why => why
        utilize => use
        utilizes => uses
        utilizing => using
        utilization of => use of
        endeavor to => try to
        endeavour to => try to
        additionally , => also,
        furthermore , => also,
        moreover , => also,
        assistance => help
        demonstrate how => show how
        demonstrates how => shows how
        in its entirety => fully
        is|are provided|given|shown|described|listed|displayed|presented to you below => is below
        that|which is|are|was|were provided|given|shown|described|listed|found|attached|presented to you? below => below
        that|which can be found below => below
        that i am going to provide to? you below => below
        provided|given|shown|described|listed|presented below => below
        that|which is|are|was|were provided|given|shown to you => given
        that has been|was designed to => to
        ^ below you will|can find => here are
        ^ the following is => this is
        is|are as follows : => :
        ",
    ),
    (
        "filler",
        "
        very|really|quite|extremely|highly|absolutely|truly important => important
        very|really|extremely|absolutely essential => essential
        very|really|extremely|absolutely crucial => crucial
        very|really|extremely|absolutely critical => critical
        very|really|extremely|absolutely vital => vital
        very|really|quite|extremely helpful => helpful
        very|really|quite|extremely useful => useful
        very|really|quite|extremely careful => careful
        very|really|quite|extremely carefully => carefully
        very|really|quite|extremely clear => clear
        very|really|quite|extremely clearly => clearly
        very|really|quite|extremely easy => easy
        very|really|quite|extremely simple => simple
        very|really|quite|extremely familiar => familiar
        of the utmost importance => important
        of great importance => important
        just wanted to => wanted to
        that you can think of
        to the best of your ability
        as best as you can
        if at all possible => if possible
        where it makes sense to do so => where sensible
        the rest of the => the remaining
        needless to say ,?
        as a matter of fact ,?
        when all is said and done ,?
        for all intents and purposes ,?
        ^ as you can see ,
        ",
    ),
    (
        "persona",
        "
        ^ you are an ai language model that has been|was? trained|designed to be => you are
        ^ you are an ai|artificial language? model|assistant|system who|that acts as => you are
        ^ as an ai language? model|assistant ,
        ^ as a large language model ,
        ",
    ),
];

/// Rules of level *strong* beyond those of *light*: instruction templates in their shortest known form.
pub(super) const STRONG: &[(&str, &str)] = &[(
    "template",
    "
    use the following pieces of context to answer the question at the end => answer from this context
    given the following context information => from this context
    answer the user's question based on the provided context => answer from the context
    based on the provided context => from the context
    based on the context|information below => from the context below
    based only on the context|information below => only from the context below
    based on the documentation below => from the documentation
    ^ you have access to the following tools => tools
    you have access to => you have
    classify the following => classify the
    in|into one of the following categories => as one of
    return the output|result|results|answer|information as a => return a
    return the output|result|results|answer|information as an => return an
    provide the output|result|results|answer|information as a => return a
    provide the output|result|results|answer|information as an => return an
    provide the output|result|results|answer|information as => return
    provide the output|result|results|answer|information in valid => return valid
    provide your response|answer in => answer in
    provide your response|answer as => answer as
    provide your response|answer with => answer with
    respond with the name of => name
    ^ keep track of => track
    as concise as possible => concise
    as short as possible => short
    as brief as possible => brief
    as precise as possible => precise
    in simple terms => simply
    the user's|customer's question => the question
    for a beginner => for beginners
    that consists of => of
    for example => e.g.
    such as => like
    ",
)];

/// Words that no order begins with; behind `make sure that you`, `are` would be left without its subject.
pub(super) const NOT_BASE_VERBS: &[&str] = &[
    "are", "is", "was", "were", "am", "have", "has", "had", "can", "could", "will", "would", "may", "might", "must",
    "should", "shall", "the", "a", "an", "this", "that", "these", "those", "your", "my", "our", "their", "his", "her",
    "its", "it", "they", "we", "he", "she", "i", "you", "all", "each", "every", "any", "no", "and", "or", "but",
    "with", "in", "on", "at", "for", "from", "by", "of", "to", "as", "if", "when", "while", "there", "what", "which",
    "who", "also", "not", "me", "us", "him", "them", "than", "then", "got", "both", "either", "neither", "some", "one",
    "two", "three", "so", "too",
];
