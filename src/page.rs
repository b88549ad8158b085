//! Pages that need nothing beside them: one HTML file with its style and pictures inside.

use base64::Engine;

use crate::data::Image;
use crate::error::Result;

/// What all pages look like.
const STYLE: &str = "\
body{font:16px/1.5 system-ui,sans-serif;margin:0;color:#1b1f24;background:#fafafa}\
main{max-width:72rem;margin:2rem auto;padding:0 1rem}\
h1{font-size:1.4rem;overflow-wrap:anywhere}h2{font-size:1.1rem;margin-top:2rem}\
table{border-collapse:collapse}th,td{text-align:left;vertical-align:top;padding:.25rem .75rem .25rem 0}\
figcaption{font-size:.75rem;color:#57606a;overflow-wrap:anywhere}\
.wide{overflow-x:auto}";

/// A whole page of a body in HTML, with a style of its own beside the common one.
pub fn document(title: &str, style: &str, body: &str) -> String {
    format!(
        "<!doctype html><html lang=en><meta charset=utf-8>\
         <meta name=viewport content=\"width=device-width\"><title>{}</title>\
         <style>{STYLE}{style}</style><main>{body}</main>\n",
        escaped(title)
    )
}

/// An image of 8-bit samples as the address of a PNG within the page.
///
/// # Errors
/// As [`Image::png_bytes`].
pub fn png(image: &Image) -> Result<String> {
    let text = base64::engine::general_purpose::STANDARD.encode(image.png_bytes()?);
    Ok(format!("data:image/png;base64,{text}"))
}

/// A text so that HTML shows it as it is.
pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
