/*
 * Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
 * the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
 *
 * Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
 * an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
 * specific language governing permissions and limitations under the License.
 */
package io.shardflow.nifi.bridge;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.FileTime;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Loads the native library, once per class loader.
 *
 * <p>NiFi's class loader finds the library in the NAR by its logical name and maps a copy that it makes in the temporary
 * folder. Where that folder is mounted without the permission to execute, the file in the unpacked NAR is copied
 * elsewhere: into the folder that {@value #FOLDER_PROPERTY} names, else beside itself. {@value #FILE_PROPERTY} names a
 * file to load instead of all that.
 */
public final class NativeLibrary {

    /** System property: absolute path of the library file to load. */
    public static final String FILE_PROPERTY = "shardflow.native.library";
    /** Environment variable with the meaning of {@link #FILE_PROPERTY}. */
    public static final String FILE_VARIABLE = "SHARDFLOW_NATIVE_LIBRARY";
    /** System property: folder in which a copy of the library may be made and executed. */
    public static final String FOLDER_PROPERTY = "shardflow.native.folder";
    /** Environment variable with the meaning of {@link #FOLDER_PROPERTY}. */
    public static final String FOLDER_VARIABLE = "SHARDFLOW_NATIVE_FOLDER";
    /** System property: log level of the native side, from error to trace. */
    public static final String LOG_LEVEL_PROPERTY = "shardflow.log.level";
    /** System property: worker threads of the native side. */
    public static final String THREADS_PROPERTY = "shardflow.worker.threads";

    private static final Logger LOGGER = LoggerFactory.getLogger(NativeLibrary.class);
    private static final Duration STALE = Duration.ofMinutes(1);

    private static boolean loaded;
    private static NativeException failure;

    private NativeLibrary() {}

    /**
     * Loads and initialises the library unless that happened before. A failure is kept and thrown again, because the
     * JVM cannot load the library a second time in this class loader.
     */
    public static synchronized void load() {
        if (loaded) {
            return;
        }
        if (failure != null) {
            throw new NativeException(failure.code(), failure.getMessage());
        }
        try {
            link();
            checkVersion();
            Native.init(settings());
            loaded = true;
        } catch (final NativeException e) {
            failure = e;
            throw e;
        } catch (final UnsatisfiedLinkError | IOException | SecurityException e) {
            failure = new NativeException(ErrorCode.UNAVAILABLE.code(), remedy(e));
            failure.initCause(e);
            throw failure;
        }
    }

    /** Logical name for {@link System#loadLibrary}, which tells OS and architecture. */
    static String name() {
        return name(System.getProperty("os.name", ""), System.getProperty("os.arch", ""));
    }

    static String name(final String osName, final String osArch) {
        return "shardflow-%s-%s".formatted(os(osName), arch(osArch));
    }

    private static String os(final String osName) {
        final String os = osName.toLowerCase(Locale.ROOT);
        if (os.startsWith("windows")) {
            return "windows";
        }
        return os.startsWith("mac") || os.startsWith("darwin") ? "macos" : "linux";
    }

    private static String arch(final String osArch) {
        return switch (osArch.toLowerCase(Locale.ROOT)) {
            case "amd64", "x86_64", "x86-64", "x64" -> "x86_64";
            case "aarch64", "arm64" -> "aarch64";
            default -> osArch.toLowerCase(Locale.ROOT);
        };
    }

    @SuppressWarnings("restricted")
    private static void link() throws IOException {
        final Optional<String> file = setting(FILE_PROPERTY, FILE_VARIABLE);
        if (file.isPresent()) {
            System.load(Path.of(file.get()).toAbsolutePath().toString());
            return;
        }
        try {
            System.loadLibrary(name());
            sweep(Path.of(System.getProperty("java.io.tmpdir")));
        } catch (final UnsatisfiedLinkError e) {
            linkCopy(e);
        }
    }

    @SuppressWarnings("restricted")
    private static void linkCopy(final UnsatisfiedLinkError reason) throws IOException {
        final String fileName = System.mapLibraryName(name());
        final Path original = unpacked(fileName);
        if (original == null) {
            throw reason;
        }
        final Path folder =
                setting(FOLDER_PROPERTY, FOLDER_VARIABLE).map(Path::of).orElse(original.getParent());
        final Path copy = Files.createTempFile(folder, "shardflow-", "-" + fileName);
        try {
            try (InputStream content = Files.newInputStream(original)) {
                Files.copy(content, copy, StandardCopyOption.REPLACE_EXISTING);
            }
            System.load(copy.toAbsolutePath().toString());
        } finally {
            // A mapped file stays usable without its name; where it does not, it stays behind.
            deleteQuietly(copy);
        }
    }

    /** The library in the unpacked NAR; null outside one. */
    private static Path unpacked(final String fileName) {
        final ClassLoader loader = NativeLibrary.class.getClassLoader();
        for (final String place : new String[] {"native/", "NAR-INF/bundled-dependencies/native/"}) {
            final var url = loader.getResource(place + fileName);
            if (url != null && "file".equals(url.getProtocol())) {
                return Path.of(java.net.URI.create(url.toString()));
            }
        }
        return null;
    }

    /**
     * Removes copies that NiFi's class loader left in the temporary folder. A mapped file stays usable without its name;
     * young ones are spared, because another loader may be about to map them.
     */
    private static void sweep(final Path temporary) {
        if ("windows".equals(os(System.getProperty("os.name", "")))) {
            return;
        }
        final Instant limit = Instant.now().minus(STALE);
        try (DirectoryStream<Path> copies = Files.newDirectoryStream(temporary, "*.nar-unpacked_*_" + name())) {
            for (final Path copy : copies) {
                final FileTime modified = Files.getLastModifiedTime(copy);
                if (Files.isRegularFile(copy) && modified.toInstant().isBefore(limit)) {
                    deleteQuietly(copy);
                }
            }
        } catch (final IOException e) {
            LOGGER.debug("Temporary copies of the native library stay in {}", temporary, e);
        }
    }

    private static void deleteQuietly(final Path file) {
        try {
            Files.deleteIfExists(file);
        } catch (final IOException e) {
            LOGGER.debug("Native library copy {} stays behind", file, e);
        }
    }

    private static void checkVersion() {
        final int version = Native.abiVersion();
        if (version != Native.ABI_VERSION) {
            throw new NativeException(
                    ErrorCode.ABI.code(),
                    "The native library speaks version %d of the bridge, this NAR speaks version %d: use the library of this NAR"
                            .formatted(version, Native.ABI_VERSION));
        }
    }

    private static String[] settings() {
        final List<String> settings =
                new ArrayList<>(List.of("log-level", System.getProperty(LOG_LEVEL_PROPERTY, "info")));
        Optional.ofNullable(System.getProperty(THREADS_PROPERTY))
                .ifPresent(threads -> settings.addAll(List.of("worker-threads", threads)));
        return settings.toArray(String[]::new);
    }

    private static String remedy(final Throwable cause) {
        return ("The native library %s cannot be loaded: %s. This NAR carries libraries for the platforms named in its"
                        + " documentation. Where the temporary folder forbids execution, name a folder that permits it"
                        + " with -D%s=FOLDER in bootstrap.conf; a library file can be named with -D%s=FILE. NiFi must be"
                        + " restarted after either.")
                .formatted(name(), cause.getMessage(), FOLDER_PROPERTY, FILE_PROPERTY);
    }

    private static Optional<String> setting(final String property, final String variable) {
        return Optional.ofNullable(System.getProperty(property))
                .or(() -> Optional.ofNullable(System.getenv(variable)))
                .filter(value -> !value.isBlank());
    }
}
