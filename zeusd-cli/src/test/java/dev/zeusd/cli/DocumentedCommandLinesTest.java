package dev.zeusd.cli;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import picocli.CommandLine.ParseResult;

/** The command lines of the Zeus project's documentation, as they stand there. */
class DocumentedCommandLinesTest {
  @ParameterizedTest
  @ValueSource(
      strings = {
        "serve --socket-path /var/run/zeusd.sock --socket-permissions 666",
        "serve --mode tcp --tcp-bind-address 0.0.0.0:4938",
        "serve --mode tcp --tcp-bind-address 0.0.0.0:4938 --enable gpu-read",
        "serve --mode tcp --tcp-bind-address 0.0.0.0:4938 --enable gpu-read,cpu-read",
        "serve --mode tcp --tcp-bind-address 0.0.0.0:4938"
            + " --signing-key-path /etc/zeusd/signing.key",
        "serve --mode uds --socket-uid 1000 --socket-gid 1000 --num-workers 4"
            + " --gpu-power-poll-hz 20 --cpu-power-poll-hz 10",
        "serve --enable gpu-control --enable gpu-read --enable cpu-read",
        "serve --mode=tcp --tcp-bind-address=[::1]:4938 --enable=gpu-read",
        "serve -h",
        "serve --help",
        "token issue --signing-key-path /etc/zeusd/signing.key --user alice --scope gpu-read"
            + " --expires 7d",
        "token issue --signing-key-path /etc/zeusd/signing.key --user alice"
            + " --scope gpu-read,gpu-control,cpu-read --expires never",
        "token issue --signing-key-path /etc/zeusd/signing.key --user alice --expires 0",
        "token issue --help",
        "token help issue",
        "help",
        "help serve",
        "help token",
        "--help",
        "-V"
      })
  void areAccepted(String commandLine) {
    ParseResult parsed = Zeusd.commandLine().parseArgs(commandLine.split(" "));
    assertTrue(parsed.errors().isEmpty());
    assertTrue(parsed.unmatched().equals(List.of()), () -> "unmatched: " + parsed.unmatched());
  }
}
