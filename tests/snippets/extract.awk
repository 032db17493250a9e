# Writes every documented program to a file of its own: OUT/NAME_LINE.cpp, from fenced
# blocks of Markdown and from @code ... @endcode of comments.
function flush_block() {
  if (text ~ /int main\(/) {
    file = out "/" name "_" first ".cpp"
    printf "%s", text > file
    close(file)
    print file
  } else {
    print "FRAGMENT " FILENAME ":" first
  }
  inside = 0
}
FNR == 1 { name = FILENAME; gsub(/.*\//, "", name); gsub(/[^A-Za-z0-9]/, "_", name); inside = 0 }
!inside && (/^```cpp/ || /@code/) { inside = 1; text = ""; first = FNR; next }
inside && (/^```/ || /@endcode/) { flush_block(); next }
inside { line = $0; sub(/^ *\/\/\/ ?/, "", line); text = text line "\n" }
