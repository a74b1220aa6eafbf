//! The frame of all pages: one file, styled for light and dark, that needs no network and no script.

use maud::{DOCTYPE, Markup, PreEscaped, html};

/// A whole page.
pub(super) fn page(kind: &str, title: &str, lead: Markup, sections: Markup) -> String {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                style { (PreEscaped(include_str!("style.css"))) }
            }
            body {
                header {
                    p.kind { (kind) }
                    h1 { (title) }
                    p.lead { (lead) }
                }
                main { (sections) }
                footer { "Written by rnn-gpu " (env!("CARGO_PKG_VERSION")) "." }
            }
        }
    }
    .into_string()
}

/// A part of a page under a heading.
pub(super) fn section(heading: &str, content: Markup) -> Markup {
    html! { section { h2 { (heading) } (content) } }
}

/// Figures that should be seen first; the first of them before all others.
pub(super) fn tiles(figures: &[(String, String)]) -> Markup {
    html! {
        dl.tiles {
            @for (i, (name, figure)) in figures.iter().enumerate() {
                div.first[i == 0] { dt { (name) } dd { (figure) } }
            }
        }
    }
}

/// A picture or table with its caption, and what the caption leaves to be said.
pub(super) fn figure(caption: &str, more: &str, content: Markup) -> Markup {
    html! {
        figure {
            figcaption { (caption) @if !more.is_empty() { small { (more) } } }
            (content)
        }
    }
}

/// The head of a column of words.
pub(super) fn words(name: &str) -> Markup {
    html! { th scope="col" { (name) } }
}

/// The head of a column of numbers.
pub(super) fn numbers(name: &str) -> Markup {
    html! { th.n scope="col" { (name) } }
}

/// A table that scrolls by itself where there is no room.
pub(super) fn table(label: &str, heads: &[Markup], rows: Markup) -> Markup {
    html! {
        div.scroll role="region" aria-label=(label) tabindex="0" {
            table {
                thead { tr { @for head in heads { (head) } } }
                tbody { (rows) }
            }
        }
    }
}
