import java.io.IOException;
import java.io.OutputStream;
import java.lang.classfile.ClassFile;
import java.lang.classfile.ClassHierarchyResolver;
import java.lang.classfile.ClassModel;
import java.lang.classfile.ClassTransform;
import java.lang.classfile.CodeTransform;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.time.LocalDateTime;
import java.util.Collections;
import java.util.HexFormat;
import java.util.List;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;
import java.util.zip.ZipOutputStream;

/**
 * Gives the classes of a jar the format of Java 8, which differs from that of Java 5 by tables that
 * the verifier needs: java NewerClassFiles.java JAR NEW_JAR SBOM. The AOT cache refuses what is
 * older, and with it whatever of ours implements an interface of it, so that each start would read
 * it from the jar and verify it. The SBOM, if there is one, is told the new jar's hashes, and that
 * it is not the original.
 */
final class NewerClassFiles {
  private static final int OLDEST_IN_CACHE = ClassFile.JAVA_6_VERSION;

  /** Whatever the time zone. */
  private static final LocalDateTime TIME = LocalDateTime.of(2000, 1, 1, 0, 0);

  private static final String NOTICE =
      "Changed by zeusd's build: the class files have the format of Java 8, instead of Java 5."
          + " Nothing else.";

  public static void main(String[] args) throws IOException, GeneralSecurityException {
    Path jar = Path.of(args[0]);
    Path newJar = Path.of(args[1]);
    Path sbom = Path.of(args[2]);
    Files.createDirectories(newJar.getParent());
    try (URLClassLoader classes = new URLClassLoader(new URL[] {jar.toUri().toURL()});
        ZipFile from = new ZipFile(jar.toFile());
        OutputStream file = Files.newOutputStream(newJar);
        ZipOutputStream to = new ZipOutputStream(file)) {
      ClassFile format =
          ClassFile.of(
              ClassFile.StackMapsOption.GENERATE_STACK_MAPS,
              ClassFile.ClassHierarchyResolverOption.of(
                  ClassHierarchyResolver.ofClassLoading(classes)));
      for (ZipEntry entry : Collections.list(from.entries())) {
        byte[] bytes = from.getInputStream(entry).readAllBytes();
        put(to, entry.getName(), entry.getName().endsWith(".class") ? newer(format, bytes) : bytes);
      }
      put(to, "META-INF/CHANGED", (NOTICE + "\n").getBytes(StandardCharsets.US_ASCII));
    }
    if (Files.exists(sbom)) {
      tell(sbom, jar, newJar);
    }
  }

  private static byte[] newer(ClassFile format, byte[] bytes) {
    ClassModel model = format.parse(bytes);
    if (model.majorVersion() >= OLDEST_IN_CACHE) {
      return bytes;
    }
    // Code that is passed on as it is gets its tables by that.
    return format.transformClass(
        model,
        ClassTransform.transformingMethodBodies(CodeTransform.ACCEPT_ALL)
            .andThen(
                ClassTransform.endHandler(end -> end.withVersion(ClassFile.JAVA_8_VERSION, 0))));
  }

  private static void put(ZipOutputStream to, String name, byte[] bytes) throws IOException {
    ZipEntry entry = new ZipEntry(name);
    entry.setTimeLocal(TIME);
    to.putNextEntry(entry);
    to.write(bytes);
    to.closeEntry();
  }

  private static void tell(Path sbom, Path jar, Path newJar)
      throws IOException, GeneralSecurityException {
    String text = Files.readString(sbom);
    for (String algorithm :
        List.of(
            "MD5", "SHA-1", "SHA-256", "SHA-384", "SHA-512", "SHA3-256", "SHA3-384", "SHA3-512")) {
      text = text.replace(hash(algorithm, jar), hash(algorithm, newJar));
    }
    String name = jar.getFileName().toString().replaceFirst("-[0-9][^-]*\\.jar$", "");
    text =
        text.replaceFirst(
            "(\"name\" : \"" + name + "\",)",
            "$1\n      \"pedigree\" : { \"notes\" : \"" + NOTICE + "\" },");
    Files.writeString(sbom, text);
  }

  private static String hash(String algorithm, Path file)
      throws IOException, GeneralSecurityException {
    return HexFormat.of()
        .formatHex(MessageDigest.getInstance(algorithm).digest(Files.readAllBytes(file)));
  }
}
