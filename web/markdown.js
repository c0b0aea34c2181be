// A small part of Markdown as DOM nodes: code, headings, lists, paragraphs; bold, italic and code inside of lines. Text
// is only ever put in as text, so nothing in it can become markup.

const inline = /(`+)([^`]|[^`].*?[^`])\1(?!`)|\*\*(?=\S)(.+?)\*\*|\*(?=\S)([^*]+?)\*/g;

function element(name, ...children) {
  const node = document.createElement(name);
  node.append(...children);
  return node;
}

function spans(text) {
  const nodes = [];
  let end = 0;
  for (const match of text.matchAll(inline)) {
    nodes.push(text.slice(end, match.index));
    if (match[2] !== undefined) nodes.push(element("code", match[2]));
    else if (match[3] !== undefined) nodes.push(element("strong", ...spans(match[3])));
    else nodes.push(element("em", ...spans(match[4])));
    end = match.index + match[0].length;
  }
  nodes.push(text.slice(end));
  return nodes;
}

function lines(text) {
  return text.split("\n").flatMap((line, i) => (i === 0 ? spans(line) : [document.createElement("br"), ...spans(line)]));
}

/// The nodes of a text.
export function markdown(text) {
  const blocks = [];
  let paragraph = [], list = null;
  const flush = () => {
    if (paragraph.length > 0) blocks.push(element("p", ...lines(paragraph.join("\n"))));
    paragraph = [];
    list = null;
  };
  const rows = text.split("\n");
  for (let i = 0; i < rows.length; ++i) {
    const row = rows[i];
    const fence = row.match(/^\s*(```+|~~~+)/);
    const heading = row.match(/^(#{1,6})\s+(.*)$/);
    const item = row.match(/^\s*(?:[-*+]|(\d+)[.)])\s+(.*)$/);
    if (fence) {
      flush();
      const code = [];
      while (++i < rows.length && !rows[i].trimStart().startsWith(fence[1])) code.push(rows[i]);
      blocks.push(element("pre", element("code", code.join("\n"))));
    } else if (heading) {
      flush();
      blocks.push(element("h" + Math.min(6, heading[1].length + 2), ...spans(heading[2])));
    } else if (item) {
      const kind = item[1] === undefined ? "ul" : "ol";
      if (list === null || list.localName !== kind) {
        flush();
        list = element(kind);
        if (kind === "ol") list.start = Number(item[1]);
        blocks.push(list);
      }
      list.append(element("li", ...spans(item[2])));
    } else if (row.trim() === "") {
      flush();
    } else {
      if (list !== null) flush();
      paragraph.push(row);
    }
  }
  flush();
  return blocks;
}
