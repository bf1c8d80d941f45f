"""Types that a skops file may name to be served: the list is ours, not the file's.

They are plain data or scikit-learn estimators without code of their own. Functions, methods and
partials are not here, nor `Tree` and `TreePredictor`: scikit-learn follows the child indices they
hold without bounds checks, so a crafted file could crash the server. Loading happens elsewhere;
here only `schema.json` inside the file is read, and nothing is imported.
"""

import json
import zipfile
import zlib
from pathlib import Path
from typing import Any

from platform_assets.models.refusal import CheckpointRefused

MAX_SCHEMA_BYTES = 8 * 2**20
PROTOCOL = 2  # older protocols reach older loaders

# Estimators and loss functions, one module of sklearn a line.
_SKLEARN = """
_loss.link: HalfLogitLink IdentityLink Interval LogLink LogitLink MultinomialLogit
_loss.loss: AbsoluteError ExponentialLoss HalfBinomialLoss HalfGammaLoss HalfMultinomialLoss
    HalfPoissonLoss HalfSquaredError HuberLoss PinballLoss
calibration: CalibratedClassifierCV
cluster._affinity_propagation: AffinityPropagation
cluster._agglomerative: AgglomerativeClustering FeatureAgglomeration
cluster._bicluster: SpectralBiclustering SpectralCoclustering
cluster._birch: Birch
cluster._bisect_k_means: BisectingKMeans
cluster._dbscan: DBSCAN
cluster._hdbscan.hdbscan: HDBSCAN
cluster._kmeans: KMeans MiniBatchKMeans
cluster._mean_shift: MeanShift
cluster._optics: OPTICS
cluster._spectral: SpectralClustering
compose._column_transformer: ColumnTransformer
compose._target: TransformedTargetRegressor
covariance._elliptic_envelope: EllipticEnvelope
covariance._empirical_covariance: EmpiricalCovariance
covariance._graph_lasso: GraphicalLasso GraphicalLassoCV
covariance._robust_covariance: MinCovDet
covariance._shrunk_covariance: LedoitWolf OAS ShrunkCovariance
cross_decomposition._pls: CCA PLSCanonical PLSRegression PLSSVD
decomposition._dict_learning: DictionaryLearning MiniBatchDictionaryLearning SparseCoder
decomposition._factor_analysis: FactorAnalysis
decomposition._fastica: FastICA
decomposition._incremental_pca: IncrementalPCA
decomposition._kernel_pca: KernelPCA
decomposition._lda: LatentDirichletAllocation
decomposition._nmf: MiniBatchNMF NMF
decomposition._pca: PCA
decomposition._sparse_pca: MiniBatchSparsePCA SparsePCA
decomposition._truncated_svd: TruncatedSVD
discriminant_analysis: LinearDiscriminantAnalysis QuadraticDiscriminantAnalysis
dummy: DummyClassifier DummyRegressor
ensemble._bagging: BaggingClassifier BaggingRegressor
ensemble._forest: ExtraTreesClassifier ExtraTreesRegressor RandomForestClassifier
    RandomForestRegressor RandomTreesEmbedding
ensemble._gb: GradientBoostingClassifier GradientBoostingRegressor
ensemble._hist_gradient_boosting.binning: _BinMapper
ensemble._hist_gradient_boosting.gradient_boosting: HistGradientBoostingClassifier
    HistGradientBoostingRegressor
ensemble._iforest: IsolationForest
ensemble._stacking: StackingClassifier StackingRegressor
ensemble._voting: VotingClassifier VotingRegressor
ensemble._weight_boosting: AdaBoostClassifier AdaBoostRegressor
feature_extraction._dict_vectorizer: DictVectorizer
feature_extraction._hash: FeatureHasher
feature_extraction.image: PatchExtractor
feature_extraction.text: CountVectorizer HashingVectorizer TfidfTransformer TfidfVectorizer
feature_selection._from_model: SelectFromModel
feature_selection._rfe: RFE RFECV
feature_selection._sequential: SequentialFeatureSelector
feature_selection._univariate_selection: GenericUnivariateSelect SelectFdr SelectFpr SelectFwe
    SelectKBest SelectPercentile
feature_selection._variance_threshold: VarianceThreshold
frozen._frozen: FrozenEstimator
gaussian_process._gpc: GaussianProcessClassifier
gaussian_process._gpr: GaussianProcessRegressor
impute._base: MissingIndicator SimpleImputer
impute._knn: KNNImputer
isotonic: IsotonicRegression
kernel_approximation: AdditiveChi2Sampler Nystroem PolynomialCountSketch RBFSampler
    SkewedChi2Sampler
kernel_ridge: KernelRidge
linear_model._base: LinearRegression
linear_model._bayes: ARDRegression BayesianRidge
linear_model._coordinate_descent: ElasticNet ElasticNetCV Lasso LassoCV MultiTaskElasticNet
    MultiTaskElasticNetCV MultiTaskLasso MultiTaskLassoCV
linear_model._glm.glm: GammaRegressor PoissonRegressor TweedieRegressor
linear_model._huber: HuberRegressor
linear_model._least_angle: Lars LarsCV LassoLars LassoLarsCV LassoLarsIC
linear_model._logistic: LogisticRegression LogisticRegressionCV
linear_model._omp: OrthogonalMatchingPursuit OrthogonalMatchingPursuitCV
linear_model._passive_aggressive: PassiveAggressiveClassifier PassiveAggressiveRegressor
linear_model._perceptron: Perceptron
linear_model._quantile: QuantileRegressor
linear_model._ransac: RANSACRegressor
linear_model._ridge: Ridge RidgeCV RidgeClassifier RidgeClassifierCV
linear_model._stochastic_gradient: SGDClassifier SGDOneClassSVM SGDRegressor
linear_model._theil_sen: TheilSenRegressor
manifold._classical_mds: ClassicalMDS
manifold._isomap: Isomap
manifold._locally_linear: LocallyLinearEmbedding
manifold._mds: MDS
manifold._spectral_embedding: SpectralEmbedding
manifold._t_sne: TSNE
mixture._bayesian_mixture: BayesianGaussianMixture
mixture._gaussian_mixture: GaussianMixture
model_selection._classification_threshold: FixedThresholdClassifier TunedThresholdClassifierCV
model_selection._search: GridSearchCV RandomizedSearchCV
multiclass: OneVsOneClassifier OneVsRestClassifier OutputCodeClassifier
multioutput: ClassifierChain MultiOutputClassifier MultiOutputRegressor RegressorChain
naive_bayes: BernoulliNB CategoricalNB ComplementNB GaussianNB MultinomialNB
neighbors._classification: KNeighborsClassifier RadiusNeighborsClassifier
neighbors._graph: KNeighborsTransformer RadiusNeighborsTransformer
neighbors._kde: KernelDensity
neighbors._lof: LocalOutlierFactor
neighbors._nca: NeighborhoodComponentsAnalysis
neighbors._nearest_centroid: NearestCentroid
neighbors._regression: KNeighborsRegressor RadiusNeighborsRegressor
neighbors._unsupervised: NearestNeighbors
neural_network._multilayer_perceptron: MLPClassifier MLPRegressor
neural_network._rbm: BernoulliRBM
pipeline: FeatureUnion Pipeline
preprocessing._data: Binarizer KernelCenterer MaxAbsScaler MinMaxScaler Normalizer
    PowerTransformer QuantileTransformer RobustScaler StandardScaler
preprocessing._discretization: KBinsDiscretizer
preprocessing._encoders: OneHotEncoder OrdinalEncoder
preprocessing._function_transformer: FunctionTransformer
preprocessing._label: LabelBinarizer LabelEncoder MultiLabelBinarizer
preprocessing._polynomial: PolynomialFeatures SplineTransformer
preprocessing._target_encoder: TargetEncoder
random_projection: GaussianRandomProjection SparseRandomProjection
semi_supervised._label_propagation: LabelPropagation LabelSpreading
semi_supervised._self_training: SelfTrainingClassifier
svm._classes: LinearSVC LinearSVR NuSVC NuSVR OneClassSVM SVC SVR
tree._classes: DecisionTreeClassifier DecisionTreeRegressor ExtraTreeClassifier
    ExtraTreeRegressor
"""
# What fitted estimators hold besides; a model may name these in `skops_trusted_types`.
_SKLEARN_HELD = (
    "sklearn.metrics._scorer._PassthroughScorer",
    "sklearn.model_selection._split.KFold",
    "sklearn.model_selection._split.StratifiedKFold",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
)
_PLAIN = """
builtins.bool builtins.bytearray builtins.bytes builtins.dict builtins.float builtins.int
builtins.list builtins.set builtins.slice builtins.str builtins.tuple builtins.NoneType
collections.OrderedDict collections.defaultdict
numpy.bool numpy.bool_ numpy.bytes_ numpy.complex128 numpy.complex64 numpy.datetime64 numpy.dtype
numpy.float16 numpy.float32 numpy.float64 numpy.int16 numpy.int32 numpy.int64 numpy.int8
numpy.longlong numpy.ma.MaskedArray numpy.ndarray numpy.object_ numpy.str_ numpy.timedelta64
numpy.uint16 numpy.uint32 numpy.uint64 numpy.uint8 numpy.ulonglong
numpy.random._generator.Generator numpy.random.mtrand.RandomState
scipy.sparse._coo.coo_matrix scipy.sparse._csc.csc_array scipy.sparse._csc.csc_matrix
scipy.sparse._csr.csr_array scipy.sparse._csr.csr_matrix
"""
_LOADERS = frozenset(
    {
        "BytearrayNode", "BytesNode", "DTypeNode", "DefaultDictNode", "DictNode", "JsonNode",
        "ListNode", "LossNode", "MaskedArrayNode", "NdArrayNode", "ObjectNode",
        "RandomGeneratorNode", "RandomStateNode", "SetNode", "SliceNode", "SparseMatrixNode",
        "TupleNode", "TypeNode",
    }
)  # fmt: skip


def _sklearn_names() -> set[str]:
    names: set[str] = set()
    module = ""
    for word in _SKLEARN.split():
        if word.endswith(":"):
            module = "sklearn." + word[:-1]
        else:
            names.add(f"{module}.{word}")
    return names


TRUSTED_TYPES = frozenset({*_sklearn_names(), *_SKLEARN_HELD, *_PLAIN.split()})


def judge_skops(file: Path, where: str) -> None:
    """Refuse a skops file that names anything outside our list; nothing is loaded.

    Raises:
        CheckpointRefused: not a skops file, another protocol, or a type or loader not in the list.
    """
    schema = _schema(file, where)
    if schema.get("protocol") != PROTOCOL:
        message = (
            f"{where}: expected skops protocol {PROTOCOL}, found {schema.get('protocol')!r}; "
            "save the model with skops 0.11 or newer"
        )
        raise CheckpointRefused(message)
    waiting: list[Any] = [schema]
    while waiting:
        node = waiting.pop()
        if isinstance(node, list):
            waiting.extend(node)
        elif isinstance(node, dict):
            _judge_node(node, where)
            waiting.extend(node.values())


def _judge_node(node: dict[str, Any], where: str) -> None:
    if "__loader__" not in node:
        return
    loader = node["__loader__"]
    name = f"{node.get('__module__')}.{node.get('__class__')}"
    if not isinstance(loader, str) or loader not in _LOADERS or name not in TRUSTED_TYPES:
        message = (
            f"{where}: expected only types of our list (platform_assets/models/skops_types.py), "
            f"found {name!a} by {loader!a}; save a model without it"
        )
        raise CheckpointRefused(message)


def _schema(file: Path, where: str) -> dict[str, Any]:
    try:
        with zipfile.ZipFile(file) as archive:
            size = archive.getinfo("schema.json").file_size
            if size > MAX_SCHEMA_BYTES:
                message = (
                    f"{where}: expected a schema of at most {MAX_SCHEMA_BYTES} bytes, found {size}"
                )
                raise CheckpointRefused(message)
            with archive.open("schema.json") as schema:
                found = json.loads(schema.read(MAX_SCHEMA_BYTES))
    except (
        OSError,
        ValueError,
        KeyError,
        RecursionError,
        RuntimeError,
        EOFError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        message = f"{where}: expected a skops file, found one that cannot be read: {error}"
        raise CheckpointRefused(message) from error
    if not isinstance(found, dict):
        message = f"{where}: expected a skops file, found no object in its schema.json"
        raise CheckpointRefused(message)
    return found
