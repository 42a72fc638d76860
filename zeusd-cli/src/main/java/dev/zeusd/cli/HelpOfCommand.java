package dev.zeusd.cli;

import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code zeusd help [COMMAND...]}: the same as {@code zeusd COMMAND... --help}. */
@Command(
    name = "help",
    description = "Show the help of a command",
    helpCommand = true,
    mixinStandardHelpOptions = true,
    versionProvider = Zeusd.Version.class)
final class HelpOfCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Parameters(
      arity = "0..*",
      paramLabel = "COMMAND",
      description = "The command, such as: serve, or: token issue")
  private List<String> names = List.of();

  @Override
  public Integer call() {
    CommandLine command = spec.commandLine().getParent();
    for (String name : names) {
      CommandLine next = command.getSubcommands().get(name);
      if (next == null) {
        throw new ParameterException(command, unknown(name, command));
      }
      command = next;
    }
    command.usage(spec.commandLine().getOut());
    return 0;
  }

  private static String unknown(String name, CommandLine command) {
    String title = "'" + command.getCommandSpec().qualifiedName() + "'";
    return command.getSubcommands().isEmpty()
        ? title + " has no commands of its own, so no '" + name + "'"
        : title + " has no command '" + name + "'; it has: " + Zeusd.subcommands(command);
  }
}
