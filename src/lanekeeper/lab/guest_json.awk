# JSON as one line for each value: its path, a tab, the value. {"a": [{"b": 1}]} gives a.0.b TAB 1.
{ text = text $0 "\n" }
END { size = length(text); at = 1; read_value("") }

function skip() { while (at <= size && index(" \t\r\n", substr(text, at, 1))) at++ }

function read_string(    out, char) {
  for (at++; at <= size; at++) {
    char = substr(text, at, 1)
    if (char == "\"") { at++; return out }
    if (char == "\\") {
      char = substr(text, ++at, 1)
      if (char == "u") { at += 4; char = "?" }
      else if (index("bfnrt", char)) char = " "
    }
    out = out char
  }
}

function read_value(path,    char, key, out) {
  skip()
  char = substr(text, at, 1)
  if (char == "{" || char == "[") { read_members(path, char); return }
  if (char == "\"") { print path "\t" read_string(); return }
  while (at <= size && !index(",]} \t\r\n", substr(text, at, 1))) out = out substr(text, at++, 1)
  print path "\t" out
}

function read_members(path, open,    key, number) {
  at++
  skip()
  if (index("]}", substr(text, at, 1))) { at++; return }
  while (at <= size) {
    skip()
    if (open == "{") { key = read_string(); skip(); at++ } else key = number++ + 0
    read_value(path == "" ? key : path "." key)
    skip()
    if (substr(text, at++, 1) != ",") return
  }
}
