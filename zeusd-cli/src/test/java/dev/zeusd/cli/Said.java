package dev.zeusd.cli;

import java.io.PrintWriter;
import java.io.StringWriter;
import picocli.CommandLine;

/** What a command line run in this JVM has said. */
record Said(int status, String out, String err) {
  static Said by(String... args) {
    StringWriter out = new StringWriter();
    StringWriter err = new StringWriter();
    CommandLine zeusd = Zeusd.commandLineFor(args);
    zeusd.setOut(new PrintWriter(out, true)).setErr(new PrintWriter(err, true));
    int status = zeusd.execute(args);
    return new Said(status, out.toString(), err.toString());
  }
}
