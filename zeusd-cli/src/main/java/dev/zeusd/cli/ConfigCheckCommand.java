package dev.zeusd.cli;

import dev.zeusd.core.settings.Baseline;
import dev.zeusd.core.settings.SettingValue;
import dev.zeusd.server.ApiGroup;
import dev.zeusd.server.auth.Caller;
import dev.zeusd.server.auth.Grant;
import dev.zeusd.server.auth.Policy;
import dev.zeusd.server.auth.Who;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import javax.security.auth.x500.X500Principal;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;
import picocli.CommandLine.TypeConversionException;

/** {@code zeusd config check}: what is wrong with a file, or what it means. */
@Command(
    name = "check",
    description = "Name the mistakes in a configuration file, or what it allows each user",
    mixinStandardHelpOptions = true,
    versionProvider = Zeusd.Version.class,
    sortOptions = false)
final class ConfigCheckCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Parameters(
      paramLabel = "FILE",
      converter = Converters.FilePath.class,
      description = "The file, as for zeusd serve --config")
  private Path file;

  @Option(
      names = "--as",
      paramLabel = "<WHO>",
      converter = WhoConverter.class,
      description =
          "Print only what this one may do, such as uid:alice or token:alice; if repeated, one"
              + " who is all of these, such as a user with a group [default: each that the file"
              + " names]")
  private List<Who> as = List.of();

  static final class WhoConverter implements ITypeConverter<Who> {
    @Override
    public Who convert(String text) {
      try {
        return Who.parse(text);
      } catch (IllegalArgumentException e) {
        throw new TypeConversionException(e.getMessage());
      }
    }
  }

  @Override
  public Integer call() {
    Logging.setUp(Logging.LogLevel.INFO);
    CommandLine serve = Zeusd.commandLineFor("serve").getSubcommands().get("serve");
    ConfigFile read;
    try {
      read = ConfigFile.read(file, serve.getCommandSpec());
    } catch (ConfigException e) {
      PrintWriter err = spec.commandLine().getErr();
      e.problems().forEach(problem -> err.println("error: " + Logging.harmless(problem)));
      err.flush();
      return CommandLine.ExitCode.USAGE;
    }
    read.warnings().forEach(what -> say("warning: " + what));
    say(file + " is good.");
    read.options().forEach((name, value) -> say("  " + name + " = " + value.replace("\n", ", ")));
    read.baseline().entries().forEach(entry -> say("  " + describe(entry)));
    say("");
    if (as.isEmpty()) {
      tellAll(read.policy());
    } else {
      tell(read.policy(), as);
    }
    return 0;
  }

  private static String describe(Baseline.Entry entry) {
    String gpus =
        entry.gpus().isEmpty()
            ? "all GPUs"
            : "GPUs "
                + entry.gpus().stream().map(Object::toString).collect(Collectors.joining(", "));
    return entry.values().stream()
        .map(value -> value.key().wireName() + " " + value.text() + unit(value))
        .collect(Collectors.joining(", ", "baseline of " + gpus + ": ", ""));
  }

  private static String unit(SettingValue value) {
    return switch (value) {
      case SettingValue.PowerLimit _, SettingValue.ModulePowerLimit _ -> " mW";
      case SettingValue.GpuClocks _, SettingValue.MemClocks _ -> " MHz";
      case SettingValue.PersistenceMode _ -> "";
    };
  }

  private void tellAll(Policy policy) {
    if (policy.isOpen()) {
      say("There are no grants: everybody who can connect may do everything that is enabled.");
      return;
    }
    Set<Who> all = new LinkedHashSet<>();
    policy.grants().forEach(grant -> all.addAll(grant.who()));
    all.forEach(each -> tell(policy, List.of(each)));
    say("Nobody else may do anything.");
  }

  private void tell(Policy policy, List<Who> who) {
    String name = String.join(" and ", who.stream().map(Who::toString).toList());
    if (policy.isOpen()) {
      say(name + " may do everything that is enabled, as everybody.");
      return;
    }
    Caller caller = caller(who);
    List<Grant> own =
        policy.grants().stream()
            .filter(grant -> grant.isFor(caller) || who.stream().anyMatch(grant.who()::contains))
            .toList();
    say(own.isEmpty() ? name + " may do nothing." : name + " may use:");
    own.forEach(grant -> say("  " + grant));
    String rest =
        String.join(
            ", ",
            Arrays.stream(ApiGroup.values())
                .filter(group -> own.stream().noneMatch(grant -> grant.groups().contains(group)))
                .map(ApiGroup::wireName)
                .toList());
    if (!own.isEmpty() && !rest.isEmpty()) {
      say("  and not " + rest);
    }
    who.stream()
        .filter(each -> !each.isKnown())
        .forEach(each -> say("  (" + each + " is not known on this machine)"));
  }

  private static Caller caller(List<Who> who) {
    OptionalInt uid = OptionalInt.empty();
    Set<Integer> gids = new LinkedHashSet<>();
    Optional<String> subject = Optional.empty();
    Optional<X500Principal> certificate = Optional.empty();
    for (Who each : who) {
      switch (each) {
        case Who.User user -> uid = user.uid();
        case Who.Group group -> group.gid().ifPresent(gids::add);
        case Who.TokenSubject token -> subject = Optional.of(token.subject());
        case Who.CertificateSubject holder -> certificate = Optional.of(holder.subject());
      }
    }
    return new Caller(uid, gids, subject, certificate);
  }

  private void say(String line) {
    PrintWriter out = spec.commandLine().getOut();
    out.println(Logging.harmless(line));
    out.flush();
  }
}
