//! `qshm explain`.

use qshm::diagnosis::machine::{Machine, Viewer};
use qshm::diagnosis::{Answer, explain_key};

use crate::cli::Explain;
use crate::json;
use crate::output::{self, IN_THE_WAY, Outcome, harmless};

pub fn run(arguments: &Explain) -> Outcome {
    let machine = Machine::look(&Viewer::current());
    let told = explain_key(&machine, &arguments.key);
    if arguments.json {
        output::print(&json::explanation(&machine, &arguments.key, &told))?;
    } else {
        let mut text = format!("{}: ", harmless(&arguments.key));
        for sentence in &told.sentences {
            text += &harmless(sentence);
            text += "\n";
        }
        if !told.advice.is_empty() {
            text += "What to do:\n";
        }
        for advice in &told.advice {
            text += &format!("  {}\n", harmless(advice));
        }
        output::print(&text)?;
    }
    Ok(match told.answer {
        Answer::Yes => 0,
        Answer::OnlyWithQshm | Answer::No => IN_THE_WAY,
    })
}
