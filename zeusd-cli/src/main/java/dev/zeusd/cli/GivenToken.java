package dev.zeusd.cli;

import dev.zeusd.server.auth.InvalidTokenException;
import dev.zeusd.server.auth.TokenText;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;

/** A token that is given to a command, on its command line or, as "-", on stdin. */
final class GivenToken {
  private static final int MAX_BYTES = 64 * 1024;

  private GivenToken() {}

  /** Its text; that of stdin for "-", so that the token is not shown by ps. */
  static String text(String argument) throws IOException {
    if (!argument.equals("-")) {
      return argument.strip();
    }
    InputStream stdin = System.in;
    return new String(stdin.readNBytes(MAX_BYTES), StandardCharsets.UTF_8).strip();
  }

  /** What stands in it. */
  static TokenText parse(String token, CommandSpec spec) {
    try {
      return TokenText.of(token);
    } catch (InvalidTokenException e) {
      // Not the token itself, which may be a good one with a letter too much.
      throw new ParameterException(spec.commandLine(), "what was given: " + e.getMessage());
    }
  }
}
