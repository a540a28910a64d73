//! Short forms of given names, as Australians use them. Our own table; not complete, and need not be.

/// How surely two given names are one person's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kinship {
    /// Nobody gives both to two children of one family: Elizabeth and Liz.
    Sure,
    /// Each is also given by itself, so that two brothers can bear them: John and Jack.
    Possible,
}

/// Each line is one name in its forms, the full ones first.
const SURE: &[&[&str]] = &[
    &["abigail", "abby", "abbie"],
    &["alexander", "alex", "alec", "sandy", "xander"],
    &["alexandra", "alex", "lexie", "sandra", "sasha"],
    &["alison", "allison", "ali", "ally"],
    &["amanda", "mandy"],
    &["andrew", "andy", "drew"],
    &["angela", "angie", "ange"],
    &["anthony", "antony", "tony", "ant"],
    &["antonio", "tony"],
    &["barbara", "barb", "barbie"],
    &["benjamin", "ben", "benny", "benji"],
    &["bernard", "bernie"],
    &["beverley", "beverly", "bev"],
    &["bradley", "brad"],
    &["bronwyn", "bron"],
    &["cameron", "cam"],
    &[
        "catherine",
        "katherine",
        "kathryn",
        "catharine",
        "cathryn",
        "cathy",
        "kathy",
        "kath",
        "cath",
        "kate",
        "katie",
        "kit",
    ],
    &["charles", "charlie", "chas", "chuck"],
    &["christine", "christina", "chris", "chrissy", "tina"],
    &["christopher", "chris", "topher", "kit"],
    &["daniel", "dan", "danny"],
    &["danielle", "dani"],
    &["david", "dave", "davey"],
    &["deborah", "debra", "deb", "debbie"],
    &["dominic", "dom"],
    &["donald", "don", "donny"],
    &["dorothy", "dot", "dottie"],
    &["douglas", "doug"],
    &["edward", "ed", "eddie", "ted", "teddy", "ned"],
    &["elizabeth", "elisabeth", "liz", "lizzie", "lizzy", "beth", "betty", "betsy", "libby"],
    &["francis", "frank", "frankie"],
    &["frances", "fran", "frankie"],
    &["frederick", "fred", "freddie", "freddy"],
    &["gabriel", "gabe"],
    &["gabrielle", "gabby", "gabi"],
    &["geoffrey", "jeffrey", "geoff", "jeff"],
    &["gerald", "gerard", "gerry", "jerry"],
    &["gregory", "greg"],
    &["gwendolyn", "gwen"],
    &["heather", "hev"],
    &["isabella", "isabel", "isobel", "bella", "izzy", "issy"],
    &["jacob", "jake"],
    &["jacqueline", "jacquelyn", "jacqui", "jackie"],
    &["james", "jim", "jimmy", "jamie"],
    &["janet", "jan"],
    &["jennifer", "jen", "jenny", "jenni"],
    &["jessica", "jess", "jessie"],
    &["joanne", "joanna", "jo", "joey"],
    &["jonathan", "johnathan", "jonathon", "jon", "jonny"],
    &["john", "johnny", "jock"],
    &["joseph", "joe", "joey"],
    &["josephine", "josie", "jo"],
    &["joshua", "josh"],
    &["judith", "judy", "jude"],
    &["julian", "jules"],
    &["kenneth", "ken", "kenny"],
    &["kimberley", "kimberly", "kim"],
    &["kristen", "kristin", "kris"],
    &["lachlan", "lachie", "locky"],
    &["lawrence", "laurence", "laurie", "larry"],
    &["leonard", "len", "lenny"],
    &["lillian", "lily", "lil"],
    &["louise", "lou"],
    &["lucille", "lucy"],
    &["madeleine", "madeline", "maddie", "maddy"],
    &["malcolm", "mal"],
    &["margaret", "marg", "margie", "maggie", "meg", "peggy", "peg"],
    &["matthew", "mathew", "matt", "matty"],
    &["maxwell", "maximilian"],
    &["melanie", "mel"],
    &["melissa", "mel", "lissa"],
    &["michael", "mick", "mike", "mikey", "micky"],
    &["michelle", "shell", "shelly"],
    &["mitchell", "mitch"],
    &["mohammed", "mohamed", "muhammad", "mohammad", "muhammed", "mo"],
    &["natalie", "nat"],
    &["nathaniel", "nathan", "nate"],
    &["nicholas", "nicolas", "nick", "nicky", "nico"],
    &["nicole", "nicola", "nic", "nicky", "nikki"],
    &["oliver", "ollie", "olly"],
    &["olivia", "liv", "livvy"],
    &["pamela", "pam"],
    &["patricia", "pat", "patty", "trish", "tricia"],
    &["patrick", "pat", "paddy"],
    &["penelope", "penny"],
    &["peter", "pete"],
    &["philip", "phillip", "phil", "pip"],
    &["philippa", "pip", "pippa"],
    &["priscilla", "cilla"],
    &["raymond", "ray"],
    &["rebecca", "rebekah", "bec", "becky", "bek"],
    &["richard", "rick", "ricky", "dick", "rich", "richie"],
    &["robert", "rob", "robbie", "bob", "bobby", "bert"],
    &["ronald", "ron", "ronnie"],
    &["rosemary", "rosie"],
    &["russell", "russ"],
    &["samantha", "sam", "sammy"],
    &["samuel", "sam", "sammy"],
    &["sebastian", "seb"],
    &["stephanie", "steph"],
    &["stephen", "steven", "steve", "stevie"],
    &["stuart", "stewart", "stu"],
    &["susan", "suzanne", "susanne", "sue", "susie", "suzie"],
    &["terence", "terrence", "terry"],
    &["theodore", "theo", "teddy"],
    &["theresa", "teresa", "terri", "tess"],
    &["thomas", "tom", "tommy"],
    &["timothy", "tim", "timmy"],
    &["valerie", "val"],
    &["vanessa", "nessa"],
    &["veronica", "ronnie"],
    &["victoria", "vicki", "vicky", "tori"],
    &["vincent", "vince", "vinnie"],
    &["virginia", "ginny"],
    &["walter", "wally"],
    &["wendy", "wend"],
    &["wilhelmina", "mina"],
    &["william", "will", "bill", "billy", "willy"],
    &["yvonne", "von"],
    &["zachary", "zac", "zach", "zak"],
];

const POSSIBLE: &[&[&str]] = &[
    &["alan", "al"],
    &["albert", "bert", "al"],
    &["anne", "ann", "anna", "annie", "nancy"],
    &["caroline", "carolyn", "carol", "carrie"],
    &["eleanor", "ellen", "ella", "nell", "nellie", "nora"],
    &["elizabeth", "eliza", "elsie", "lisa", "elise", "bess"],
    &["emily", "emma", "em"],
    &["harold", "harry", "hal"],
    &["helen", "helena", "nell", "lena"],
    &["henry", "harry", "hal"],
    &["jane", "jenny", "janie"],
    &["john", "jack", "ian", "sean"],
    &["lee", "leigh"],
    &["louis", "lewis", "lou"],
    &["margaret", "greta", "rita", "daisy", "margot"],
    &["mary", "maria", "marie", "molly", "polly", "mia"],
    &["max", "maxwell", "maximilian"],
    &["sarah", "sara", "sally", "sadie"],
    &["stella", "estelle"],
];

/// Whether two folded given names are forms of one name. A name is no form of itself.
pub(super) fn kinship(one: &str, another: &str) -> Option<Kinship> {
    let in_one_line =
        |table: &[&[&str]]| table.iter().any(|line| line.contains(&one) && line.contains(&another));
    if one == another {
        None
    } else if in_one_line(SURE) {
        Some(Kinship::Sure)
    } else {
        in_one_line(POSSIBLE).then_some(Kinship::Possible)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_of_a_name() {
        for (one, another) in
            [("liz", "elizabeth"), ("bill", "will"), ("kate", "kathryn"), ("mohamed", "muhammad")]
        {
            assert_eq!(kinship(one, another), Some(Kinship::Sure));
            assert_eq!(kinship(another, one), Some(Kinship::Sure));
        }
        assert_eq!(kinship("jack", "john"), Some(Kinship::Possible));
        assert_eq!((kinship("ada", "ada"), kinship("karla", "carla")), (None, None));
    }

    #[test]
    fn a_line_holds_folded_names() {
        for name in SURE.iter().chain(POSSIBLE).flat_map(|line| line.iter()) {
            assert!(name.bytes().all(|b| b.is_ascii_lowercase()), "{name}");
        }
    }
}
