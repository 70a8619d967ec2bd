/**
 * Installs what others use for the same job, once, into the cache folder of the tests (`~/.cache/kafkaload`): nothing
 * is written into the checkout. Each step says what it downloads.
 */
import { spawnSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cachedFolder, mustRun, say } from '../../test/helpers/cache.ts';
import { kcatVersion } from '../core/kcat.ts';

const CONFLUENT_KAFKA_VERSION = '2.16.1';
const PYARROW_VERSION = '26.0.1';
/** Of 4.0, 4.1 and 4.2 only 4.0.0, 4.1.1 and 4.2.0 have the token provider, which the Kafka source needs, in Central. */
const SPARK_VERSION = '4.1.1';

/** Spark's parent POM names a mirror that is not for everybody. */
const MAVEN_SETTINGS = `<settings>
  <mirrors>
    <mirror>
      <id>central-alone</id><mirrorOf>*</mirrorOf><url>https://repo.maven.apache.org/maven2</url>
    </mirror>
  </mirrors>
</settings>
`;

const SPARK_POM = `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>kafkaload</groupId>
  <artifactId>bench-spark</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.spark</groupId><artifactId>spark-sql-kafka-0-10_2.13</artifactId><version>${SPARK_VERSION}</version>
    </dependency>
  </dependencies>
</project>
`;

/** Spark has these itself, and some newer: a second, older Scala in front of its own breaks it. */
const BROUGHT_BY_SPARK = [
  ...['com.google.code.findbugs', 'org.apache.hadoop', 'org.lz4', 'org.scala-lang', 'org.scala-lang.modules'],
  ...['org.slf4j', 'org.xerial.snappy'],
];

export interface Spark {
  /** A Python that has pyspark, which brings Spark itself. */
  readonly python: string;
  /** Class path of Spark's Kafka source. */
  readonly kafkaJars: string;
  readonly version: string;
}

/** @returns Version of kcat; null, after saying why, where it is not there and cannot be installed. */
export function findKcat(): string | null {
  const found = kcatVersion();
  if (found !== null) return found;
  const isRoot = process.getuid?.() === 0;
  if (!isRoot || spawnSync('apt-get', ['--version']).status !== 0) {
    say('kcat is not installed, and cannot be from here: it is left out (Debian, Ubuntu: sudo apt-get install kcat)');
    return null;
  }
  say("installing Debian's package kcat with apt-get");
  const { status, stderr } = spawnSync('apt-get', ['install', '-y', '-q', 'kcat'], { encoding: 'utf8' });
  const installed = kcatVersion();
  if (installed === null) {
    const why = stderr.trim().split('\n').at(-1) ?? '';
    say(`kcat could not be installed (apt-get ended with ${status}: ${why}): it is left out`);
  }
  return installed;
}

/** @returns A Python that has confluent-kafka and pyarrow, and their versions. */
export async function preparePython(): Promise<{ readonly python: string; readonly version: string }> {
  const packages = [`confluent-kafka==${CONFLUENT_KAFKA_VERSION}`, `pyarrow==${PYARROW_VERSION}`];
  const python = await pythonWith(packages, ['--only-binary', ':all:']);
  const libraries = `confluent-kafka ${CONFLUENT_KAFKA_VERSION}, pyarrow ${PYARROW_VERSION}`;
  return { python, version: `${await pythonVersion()}, ${libraries}` };
}

/** @throws Error in several lines: no Java, Maven or Python 3, or a registry that cannot be reached. */
export async function prepareSpark(): Promise<Spark> {
  const java = await mustRun('java', ['--version']);
  const python = await pythonWith([`pyspark==${SPARK_VERSION}`], []);
  const folder = await cachedFolder(`spark-kafka-${SPARK_VERSION}`, async (temporary) => {
    say(`downloading the Kafka source of Spark ${SPARK_VERSION} with Maven (some 10 MB, once)`);
    const [pom, settings] = [join(temporary, 'pom.xml'), join(temporary, 'settings.xml')];
    await writeFile(pom, SPARK_POM);
    await writeFile(settings, MAVEN_SETTINGS);
    await mustRun('mvn', [
      ...['-q', '-B', '-s', settings, '-f', pom, 'dependency:copy-dependencies', '-DincludeScope=runtime'],
      `-DexcludeGroupIds=${BROUGHT_BY_SPARK.join(',')}`,
      `-DoutputDirectory=${join(temporary, 'libs')}`,
    ]);
  });
  const version = `${SPARK_VERSION}, Java ${/\d[\d.]*/.exec(java)?.[0] ?? 'unknown'}`;
  return { python, kafkaJars: join(folder, 'libs', '*'), version };
}

async function pythonVersion(): Promise<string> {
  return (await mustRun('python3', ['-c', 'import sys; print("%d.%d.%d" % sys.version_info[:3])'])).trim();
}

async function pythonWith(packages: readonly string[], options: readonly string[]): Promise<string> {
  const version = await pythonVersion();
  const name = ['bench', ...packages.map((one) => one.replace('==', '-')), `python-${version}`].join('-');
  const folder = await cachedFolder(name, async (temporary) => {
    say(`installing ${packages.join(' and ')} from PyPI for Python ${version} (once)`);
    await mustRun('python3', ['-m', 'venv', temporary]);
    const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-cache-dir'];
    await mustRun(join(temporary, 'bin', 'python'), [...pip, ...options, ...packages]);
  });
  return join(folder, 'bin', 'python');
}
